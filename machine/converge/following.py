"""Following converge from an SSH session: start it, show its progress, wait for its end or for a reboot."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

from machine.converge import progress, records, turn
from machine.converge.stages import stages
from machine.documents.result import Result
from machine.host import lock
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine

UNIT = "mig-k8s-converge.service"
_LOOK_SECONDS = 0.3


def follow(machine: ThisMachine, show: Callable[[str], None]) -> Result:
    """Start what is left to do, show progress, and return the result when all is done, failed, or a reboot is near."""
    with lock.shared(machine.path(lock.FOLLOWERS)):
        # A second start: the run that was under way may have begun before the desired state was written.
        for _ in range(2):
            boot_id = machine.boot_id()
            if not records.left(records.read(machine), stages(machine), boot_id):
                break
            underway = is_running(machine)
            _start(machine)
            _show(machine, show)
            result = records.read(machine)
            known = not records.is_outdated(result, stages(machine))
            if not underway or records.is_rebooting(result, boot_id) or known:
                break
        result = records.read(machine)
        if result.state in ("starting", "running") and not is_running(machine):
            turn.tell_killed(machine)
        return result


def is_running(machine: ThisMachine) -> bool:
    """Whether a run is under way, or about to begin or end."""
    state = machine.systemctl("is-active", UNIT, seconds=60).stdout.strip()
    return state in ("active", "activating", "deactivating")


def _start(machine: ThisMachine) -> None:
    """Start converge unless it runs. Raises MachineError when systemd cannot, DiskError when the disk is full."""
    if not is_running(machine):
        # What the last run left must not be taken for what this one does.
        records.write(machine, replace(records.read(machine), state="starting"))
        progress.forget(machine)
    started = machine.systemctl("start", UNIT, seconds=600)
    if not started.succeeded:
        raise MachineError(f"systemd cannot start {UNIT}: {started.stderr.strip()}")


def _show(machine: ThisMachine, show: Callable[[str], None]) -> None:
    """Show lines of progress until converge has ended or announces a reboot."""
    shown, inode = 0, 0
    while True:
        last = not is_running(machine) or records.is_rebooting(records.read(machine), machine.boot_id())
        with contextlib.suppress(FileNotFoundError), machine.path(progress.PATH).open("rb") as file:
            if os.fstat(file.fileno()).st_ino != inode:
                shown, inode = 0, os.fstat(file.fileno()).st_ino
            file.seek(shown)
            text = file.read()
            shown += len(text)
            if text:
                show(text.decode(errors="replace"))
        if last:
            return
        machine.clock.sleep(_LOOK_SECONDS)
