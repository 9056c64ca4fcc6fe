"""Releases of this package on a machine: checked beside the one that runs, and made current in one step."""
