"""Packages of the host's own distribution, and how they are installed."""
