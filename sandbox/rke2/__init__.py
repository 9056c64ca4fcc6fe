"""A stand-in of RKE2: its install script, tarball, units, paths and configuration around real Kubernetes programs."""
