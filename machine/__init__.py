"""Everything of ours that runs on a machine: standard library only, Python 3.10 and newer."""
