"""A command line of this package on a machine of the tests, in a process of its own: `driver.py SPEC WORD…`.

SPEC is a JSON file: {"folder": …, "environment": {…}} is the machine (see AMachine.below), and "deadly", if there:
{"program": "nvidia-smi", "at": 3, "when": "before"|"after", "signal": "SIGKILL"} is sent to this process at the third
run of that program ("*": of any), just before or just after it.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # it is run isolated

from a_machine import AMachine  # noqa: E402
from calls import command_line  # noqa: E402

from machine.host.program import Ended  # noqa: E402
from machine.host.signals import raise_on_signals  # noqa: E402


@dataclass(frozen=True)
class MortalMachine(AMachine):
    """A machine whose command is hit by a signal at a certain run of a program."""

    deadly: dict[str, Any] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        name = Path(command[0]).name
        if not self.deadly or self.deadly["program"] not in ("*", name):
            return super().run(*command, seconds=seconds, stdin=stdin)
        self.seen.append(name)
        is_the_one = len(self.seen) == self.deadly["at"]
        if is_the_one and self.deadly["when"] == "before":
            os.kill(os.getpid(), signal.Signals[self.deadly["signal"]])
        ended = super().run(*command, seconds=seconds, stdin=stdin)
        if is_the_one and self.deadly["when"] == "after":
            os.kill(os.getpid(), signal.Signals[self.deadly["signal"]])
        return ended


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    machine = MortalMachine.below(Path(spec["folder"]), **spec["environment"])
    machine.deadly.update(spec.get("deadly", {}))
    raise_on_signals()
    return command_line(machine, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
