"""Starts mig-k8s. In a release it lies at the top: `python3 -I RELEASE SUBCOMMAND`."""

import sys

from machine.command_line import main

if __name__ == "__main__":
    sys.exit(main())
