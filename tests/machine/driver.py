"""A command line of this package on a machine of the tests, in a process of its own: `driver.py SPEC WORD…`.

SPEC is a JSON file: {"folder": …, "environment": {…}} is the machine (see AMachine.below), and "fate", which may be
empty, says what happens to the command: see KillableMachine.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # it is run isolated

from calls import command_line  # noqa: E402
from killable_machine import KillableMachine  # noqa: E402

from machine.host.signals import raise_on_signals  # noqa: E402


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    machine = KillableMachine.below(Path(spec["folder"]), **spec["environment"])
    machine.fate.update(spec["fate"])
    raise_on_signals()
    return command_line(machine, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
