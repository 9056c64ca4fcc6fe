"""The progress of a run, a line at a time: for those who follow it, and for the journal."""

import contextlib

from machine.host import files
from machine.host.console import plain, row, say
from machine.host.this_machine import ThisMachine

PATH = "/run/mig-k8s/progress"


def begin(machine: ThisMachine) -> None:
    """Begin anew: nothing has been said of this run. Raises DiskError."""
    files.write(machine.path(PATH), "", 0o644)


def forget(machine: ThisMachine) -> None:
    """Delete the lines of the last run, so that they are not taken for those of the next one."""
    machine.path(PATH).unlink(missing_ok=True)


def tell(machine: ThisMachine, stage: str, text: str, seconds: float) -> None:
    """Print one line: which stage, what, after how many seconds."""
    line = row(stage, f"{plain(text)}  {seconds:.0f} s")
    with contextlib.suppress(OSError), machine.path(PATH).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    say(line)
