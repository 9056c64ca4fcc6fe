"""Starts mig-k8s. In a release it lies at the top: `python3 -I RELEASE SUBCOMMAND`."""

import sys

from machine.command_line import main
from machine.host.signals import raise_on_signals

if __name__ == "__main__":
    raise_on_signals()
    sys.exit(main())
