"""The programs the sandbox runs, as Go modules, and how they are built."""
