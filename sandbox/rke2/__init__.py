"""A stand-in of RKE2: its tarball, units, paths and configuration around real Kubernetes programs."""
