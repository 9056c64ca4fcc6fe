"""What a machine does with another configuration: what its cluster cannot take is refused, the rest is written."""
