"""Limits that a kernel sets for each user: all machines of a host share them, where real ones have their own each.

At the usual 128 instances of inotify, about ten machines can run: a containerd that gets none starts without its CRI,
and the kubelet waits in vain.
"""

from pathlib import Path

from sandbox.progress import say

_FOLDER = Path("/proc/sys/fs/inotify")
_NEEDED = {"max_user_instances": 8192, "max_user_watches": 524288}
"""What the rke2 stage sets on a machine with a kernel of its own."""


def raise_inotify(folder: Path = _FOLDER) -> None:
    """Raise what is lower than machines need, until the host boots again. Says so where the kernel lets nobody."""
    for name, needed in _NEEDED.items():
        limit = folder / name
        if (allowed := int(limit.read_text())) >= needed:
            continue
        try:
            limit.write_text(f"{needed}\n")
        except OSError as refusal:
            say(f"fs.inotify.{name} stays at {allowed}, too few for many machines: {refusal.strerror}")
