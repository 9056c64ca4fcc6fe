"""Where the releases of a machine lie: each in a folder of its own, and a symbolic link that names the current one."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from machine.documents.manifest import HOME
from machine.host import lock
from machine.host.this_machine import ThisMachine

RELEASES = f"{HOME}/releases"
CURRENT = f"{HOME}/current"
LOCK = "/run/mig-k8s/release"
_INCOMING = re.compile(r"incoming\.(\d+)")
"""What comes over SSH is unpacked here by the process of this number, which then installs it."""
_OLD_STAGES = f"{HOME}/stages"
"""The stages of machines that were made before there were releases."""


def current(machine: ThisMachine) -> Path | None:
    """The folder of the current release; None when there is none."""
    link = machine.path(CURRENT)
    return link.resolve() if link.is_dir() else None


def make_current(machine: ThisMachine, release: Path) -> None:
    """Let the link name another release, in one step."""
    link = machine.path(CURRENT)
    beside = link.with_name(f"{link.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release.relative_to(link.parent))
    beside.replace(link)
    sync_folder(link.parent)


def remove_leftovers(machine: ThisMachine) -> None:
    """Remove what cut-off deliveries left. Deliveries under way stay: their process lives."""
    for folder in _folders(machine.path(HOME)):
        found = _INCOMING.fullmatch(folder.name)
        if found and not Path("/proc", found[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def remove_other_releases(machine: ThisMachine) -> None:
    """Remove older releases once the running one has worked, if it is the current one. Never waits, never fails."""
    with lock.held(machine.path(LOCK), machine.clock, seconds=0) as free:
        running = machine.release.resolve()
        if not free or current(machine) != running:
            return
        for folder in _folders(machine.path(RELEASES)):
            if folder != running:
                shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(machine.path(_OLD_STAGES), ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on the disk, so that a power cut cannot take a rename back."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _folders(parent: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(path.resolve() for path in parent.iterdir() if path.is_dir() and not path.is_symlink())
