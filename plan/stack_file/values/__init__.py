"""Checks of single values: each takes what stood in the file and gives it back, or raises Refusal."""
