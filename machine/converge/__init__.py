"""The stages that bring a machine to its desired state, and the releases of this package that do it."""
