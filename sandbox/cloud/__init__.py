"""Stand-in for Azure: what it has, what it refuses, and its provider plugin."""
