"""Kubernetes as seen from a node: with the rights of a server's administrator or, on an agent, of its kubelet."""
