"""What a living machine does with another configuration, and what is made anew on it: what its cluster cannot take is
refused, the rest is done."""
