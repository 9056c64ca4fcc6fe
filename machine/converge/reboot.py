"""The machine's reboot: logins are closed, those who follow are told and leave, then the machine goes down."""

import contextlib
from dataclasses import dataclass

from machine.host import files, lock
from machine.host.this_machine import ThisMachine

NOLOGIN = "/run/nologin"
_NOTICE = "mig-k8s: this machine reboots for its GPU and is back in a few minutes.\n"


@dataclass(frozen=True)
class RebootWaits:
    """How long a reboot waits, in seconds."""

    followers: float = 60
    """At most, until followers have been told and have left."""
    exit_status: float = 1
    """Until the exit status of a remote command that has ended has reached the other side."""
    down: float = 180
    """At most, until the machine has gone down."""


def close_logins(machine: ThisMachine) -> None:
    """Close logins: whoever leaves from now on can only come back after the reboot. Raises DiskError."""
    files.write(machine.path(NOLOGIN), _NOTICE, 0o644)


def open_logins(machine: ThisMachine) -> None:
    """Remove our own notice, such as that of a run that was killed before its reboot, and nobody else's."""
    path = machine.path(NOLOGIN)
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="utf-8", errors="replace") == _NOTICE:
            path.unlink()


def reboot(machine: ThisMachine, waits: RebootWaits) -> str:
    """Go down as soon as nobody follows. Returns only if the machine did not, with what systemd said."""
    with lock.held(machine.path(lock.FOLLOWERS), machine.clock, seconds=waits.followers):
        pass
    machine.clock.sleep(waits.exit_status)
    ended = machine.systemctl("reboot", seconds=60)
    if ended.succeeded:
        machine.clock.sleep(waits.down)
    return ended.stderr.strip() or "no reason given"
