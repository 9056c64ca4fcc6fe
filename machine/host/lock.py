"""Locks between the processes of a machine. They lie in /run and end with their holder, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from machine.host.clock import Clock

PAUSE_SECONDS = 0.2
FOLLOWERS = "/run/mig-k8s/followers"
"""Held together by all who must hear of a reboot before it comes, such as whoever waits over SSH."""


@contextlib.contextmanager
def held(path: Path, clock: Clock, *, seconds: float, told: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold a lock alone; yields False when it was not free within `seconds`. `told` is called once if it must wait."""
    with _opened(path) as file:

        def take() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        free = take()
        if not free:
            told()
            free = clock.wait(take, seconds, pause=PAUSE_SECONDS)
        yield free


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock together with others; waits for one who holds it alone, and is not waited for by the others."""
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file of a lock. For its owner alone, also one of an older release: who can read a file can hold its lock."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(path, "a", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.fchmod(file.fileno(), 0o600)
        yield file
