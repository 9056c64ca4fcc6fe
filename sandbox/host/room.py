"""Time, disk and memory: what a sandbox takes of this host, said before anything is built."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox import cache
from sandbox.instance import default_root
from sandbox.progress import say

_GB = 10**9


@dataclass(frozen=True)
class Need:
    """What a sandbox needs, in GB: of the disk with the cache, and of memory at the same time."""

    disk: int
    memory: int


FIRST = Need(disk=12, memory=5)
"""Go keeps what it has compiled; memory is that of two linkers."""
LATER = Need(disk=2, memory=2)
"""The disk and the memory of one machine with its cluster."""


def announce() -> None:
    """Say what the first run takes; a later one takes a minute or two, of which nobody has to be told."""
    if _is_first():
        disk, memory = _free_disk(), _free_memory()
        say(
            "the first run builds Pulumi, Kubernetes, containerd and Helm from their sources: about 15 min on two cores"
            f" (here {os.cpu_count()}), {FIRST.disk} GB of disk (here {disk} GB are free at {cache.root()}),"
            f" {FIRST.memory} GB of memory (here {memory} GB are free)"
        )


def obstacle() -> str | None:
    """What there is too little of, in one line; None if there is enough."""
    need = FIRST if _is_first() else LATER
    for place in (cache.root(), default_root()):
        if (disk := _free_disk(place)) < need.disk:
            return (
                f"{disk} GB of disk are free at {place}, and {need.disk} GB are needed: make room, or set"
                " XDG_CACHE_HOME and XDG_STATE_HOME to a larger disk"
            )
    if (memory := _free_memory()) < need.memory:
        return f"{memory} GB of memory are free, and {need.memory} GB are needed: end other programs"
    return None


def _is_first() -> bool:
    """Kubernetes takes longest to build: where it is not, nothing much is."""
    return not any(cache.location("kubernetes", "").glob("[!.]*"))


def _free_disk(place: Path | None = None) -> int:
    place = place or cache.root()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(there).free // _GB


def _free_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(available.split()[1]) * 1024 // _GB
