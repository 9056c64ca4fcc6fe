"""The sandbox's own Pulumi: its home, plugins and stack file, and what it says."""
