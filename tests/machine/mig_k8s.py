"""mig-k8s in a process of its own, so that it can be killed: `mig_k8s.py FOLDER WORD…`.

FOLDER is that of a StagedMachine. Time is real, and systemctl is the program on the machine's PATH.
"""

import dataclasses
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # it is run isolated

from staged import StagedMachine  # noqa: E402

from machine import command_line  # noqa: E402
from machine.host.clock import Clock  # noqa: E402
from machine.host.signals import raise_on_signals  # noqa: E402

if __name__ == "__main__":
    raise_on_signals()
    machine = StagedMachine.below(Path(sys.argv[1]), MIG_K8S=sys.argv[1])
    sys.exit(command_line.main(sys.argv[2:], dataclasses.replace(machine, clock=Clock())))  # type: ignore[arg-type]
