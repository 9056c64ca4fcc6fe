"""What the cluster gets on top of its machines, and what the verification expects of it."""
