"""A control group of its own for each machine, in every hierarchy the host has mounted (v1, v2 or both).

The machine's systemd and kubelet take the group that they find as their root: in one group, two machines would share
it. A machine lives one group further down. In v2, a daemon-reload of the host's systemd takes away every controller
that no group below the topmost hands down itself: ours does so as long as it is there, between two boots of its machine
too.
"""

import contextlib
import os
import time
from pathlib import Path

from sandbox.error import SandboxError

_SECONDS = 10.0
_MACHINE = "machine"
"""The group that a machine's processes start in, below the one that has its name."""
_NEEDED = {"cpu", "cpuset", "io", "memory", "pids"}
"""Controllers that a machine's kubelet and containerd set the limits of pods with, where the kernel has them."""
_ATTEMPTS = 5
"""Made again so often where the host's systemd takes a controller away between two steps."""


def hierarchies() -> list[Path]:
    """Mount points of cgroup file systems, v1 and v2."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in {"cgroup", "cgroup2"}:
            found.append(Path(before.split()[4]))
    return found


def machines() -> set[str]:
    """Names of the machines' groups on this host, of living machines and dead ones, of whichever user."""
    return {group.name for hierarchy in hierarchies() for group in hierarchy.glob("mk8s-*") if group.is_dir()}


def create(name: str) -> None:
    """Make the machine's group. Raises SandboxError where it would miss a controller that the kernel has."""
    for hierarchy in hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        inherit = group / "cgroup.clone_children"
        if (hierarchy / "cpuset.cpus").exists() and inherit.exists():  # v1: an empty cpuset takes no process
            inherit.write_text("1")
            for resource in ("cpuset.cpus", "cpuset.mems"):
                (group / resource).write_text((hierarchy / resource).read_text())
        needed = _NEEDED & _controllers(hierarchy / "cgroup.controllers")
        for _ in range(_ATTEMPTS):
            _hand_down(hierarchy)
            _hand_down(group)
            if not (kept := needed - _controllers(group / "cgroup.subtree_control")):
                break
        else:
            raise SandboxError(
                f"{hierarchy} does not hand down {', '.join(sorted(kept))}, with which Kubernetes sets the limits of"
                " pods. This happens in a container whose own processes are in its topmost group: use a host or a full"
                " machine"
            )
        (group / _MACHINE).mkdir(exist_ok=True)


def _hand_down(group: Path) -> None:
    """Let the groups below have every controller that this one has. Nothing in v1, where they have them all."""
    for controller in _controllers(group / "cgroup.controllers"):
        with contextlib.suppress(OSError):  # one that is bound to v1, or not for groups, stays out
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _controllers(file: Path) -> set[str]:
    """The controllers that a file of v2 names; v1 has no such file, so there are none."""
    return set(file.read_text().split()) if file.exists() else set()


def enter(name: str) -> None:
    """Move the calling process to where its machine lives; what it starts begins there. Nothing may live there."""
    for hierarchy in hierarchies():
        group = hierarchy / name / _MACHINE
        handed_down = group / "cgroup.subtree_control"
        # v2: a group that gives controllers to others takes no process; systemd-nspawn did that at the boot before.
        if controllers := _controllers(handed_down):
            for below in [folder for folder in group.iterdir() if folder.is_dir()]:
                _remove(below, time.monotonic() + _SECONDS)
            handed_down.write_text(" ".join(f"-{controller}" for controller in sorted(controllers)))
        (group / "cgroup.procs").write_text("0")


def processes(name: str) -> set[int]:
    """Every process in the group or below it."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for folder in _folders(hierarchy / name):
            with contextlib.suppress(OSError):  # it vanished meanwhile, or holds threads only
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found - {0}


def remove(name: str) -> None:
    """Remove the group and what is below it. Raises SandboxError if something goes on living in it."""
    deadline = time.monotonic() + _SECONDS
    for hierarchy in hierarchies():
        _remove(hierarchy / name, deadline)


def _remove(group: Path, deadline: float) -> None:
    """Try to remove the group until it is gone: the kernel frees a dead process's group a moment after its end."""
    while group.exists():
        for folder in reversed(_folders(group)):
            with contextlib.suppress(OSError):  # not yet
                folder.rmdir()
        if time.monotonic() > deadline:
            raise SandboxError(f"control group {group} is still busy after {_SECONDS:.0f} s")
        if group.exists():
            time.sleep(0.02)


def _folders(group: Path) -> list[Path]:
    """The group and all below, parents first. Not `glob`: that fails when one vanishes on the way."""
    return [Path(folder) for folder, _, _ in os.walk(group)]
