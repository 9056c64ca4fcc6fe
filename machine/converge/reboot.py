"""The machine's reboot: logins are closed, those who follow are told and leave, then the machine goes down."""

import contextlib
from dataclasses import dataclass

from machine.host import files, lock
from machine.host.this_machine import ThisMachine

NOLOGIN = "/run/nologin"
_NOTICE = "mig-k8s: this machine reboots for its GPU and is back in a few minutes.\n"


@dataclass(frozen=True)
class Patience:
    """How long a reboot waits, in seconds."""

    followers: float = 60
    """For followers to hear of it and leave."""
    goodbye: float = 1
    """For a remote command whose process has ended to tell its exit status to the other side."""
    down: float = 180
    """For the machine to go down."""


def close_logins(machine: ThisMachine) -> None:
    """Close logins: whoever leaves from now on can only come back after the reboot. Raises DiskError."""
    files.write(machine.path(NOLOGIN), _NOTICE, 0o644)


def open_logins(machine: ThisMachine) -> None:
    """Remove our own notice, such as that of a run that was killed before its reboot, and nobody else's."""
    path = machine.path(NOLOGIN)
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8", errors="replace") == _NOTICE:
            path.unlink()


def reboot(machine: ThisMachine, patience: Patience) -> str:
    """Go down as soon as nobody follows. Returns only if the machine did not, with what systemd said."""
    with lock.held(machine.path(lock.FOLLOWERS), machine.clock, seconds=patience.followers):
        pass
    machine.clock.sleep(patience.goodbye)
    ended = machine.systemctl("reboot", seconds=60)
    if ended.succeeded:
        machine.clock.sleep(patience.down)
    return ended.stderr.strip() or "no reason given"
