"""Making the running release the current one of its machine.

It runs out of the folder into which it was delivered. Whenever it is killed, the machine has its old release or the new
one, whole; what is left over goes with the next delivery.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from machine.host import lock
from machine.host.console import row, say
from machine.host.errors import MAKE_ROOM, DiskError, MachineError
from machine.host.this_machine import ThisMachine
from machine.release import storage, units
from machine.release.check import check, files_of, is_whole, read_manifest

_OTHER_DELIVERY_SECONDS = 300


def install(machine: ThisMachine, *, if_none: bool = False) -> int:
    """Check the running release, make it current, write its entry points and units; the exit code is 0.

    `if_none`: only where there is no release yet, as cloud-init does, whose files may be older than what came over SSH.
    Raises UsageError when this release is not whole or not for this machine, MachineError, DiskError; the machine has
    the release then that it had.
    """
    with lock.held(machine.path(storage.LOCK), machine.clock, seconds=_OTHER_DELIVERY_SECONDS) as free:
        if not free:
            raise MachineError(f"another delivery did not end within {_OTHER_DELIVERY_SECONDS} s; try again")
        delivered = machine.release
        try:
            if if_none and storage.current(machine) is not None:
                say("this machine has a release already, which is kept")
                return 0
            check(machine)
            release = _place(machine)
            if storage.current(machine) != release:
                storage.make_current(machine, release)
            say(row("release", f"{release.name} is current"))
            # Outside of the release, and only now: they lead to what is current.
            units.write(replace(machine, release=release))
        except OSError as error:
            raise DiskError(f"the release cannot be installed: {error}. {MAKE_ROOM}") from error
        finally:
            if delivered.name.startswith("incoming."):
                shutil.rmtree(delivered, ignore_errors=True)
            storage.remove_leftovers(machine)
    return 0


def _place(machine: ThisMachine) -> Path:
    """Put the release among the others; returns its folder. A damaged one that is there gets its files again."""
    wanted = read_manifest(machine.release)
    release = machine.path(storage.RELEASES) / wanted.release
    if release.resolve() == machine.release.resolve():
        return release.resolve()
    if not release.exists():
        _sync(machine.release)
        release.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        machine.release.rename(release)
        storage.sync_folder(release.parent)
    elif not is_whole(release):
        _repair(machine.release, release)
    return release.resolve()


def _repair(whole: Path, damaged: Path) -> None:
    """Have the files of the same release again, one by one: what is sound in it is never missing."""
    wanted = files_of(whole)
    for path in set(files_of(damaged)) - set(wanted):
        (damaged / path).unlink()
    for path in wanted:
        target = damaged / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        (whole / path).replace(target)
    _sync(damaged)


def _sync(folder: Path) -> None:
    """Have all of a release on the disk before anything leads to it."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            storage.sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
