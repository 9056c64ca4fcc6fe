"""Locks between the processes of a machine. They lie in /run and end with their holder, however it ends."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from machine.host.clock import Clock

PAUSE_SECONDS = 0.2


@contextlib.contextmanager
def held(path: Path, clock: Clock, *, seconds: float, told: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold a lock alone; yields False when it was not free within `seconds`. `told` is called once if it must wait."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:

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
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
