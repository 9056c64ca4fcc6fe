"""Each thing that a run does stops once, when it is done and not yet reported: there the run can be killed."""

import os
import re
import select
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

_LOCK = threading.Lock()
_NOTHING_MORE_SECONDS = 0.4


def hold(root: Path, what: str) -> None:
    """Where this is done for the first time, say so and wait until the gate is opened."""
    folder = root / "held"
    if not folder.is_dir():
        return
    with _LOCK:
        try:
            (folder / re.sub(r"\W+", "-", what)).touch(exist_ok=False)
        except FileExistsError:
            return
    with (folder / "events").open("w") as events:  # one write: nobody else's words come between
        events.write(f"{what}\n")
    (folder / "gate").open().close()  # waits for who opens the other end


class Held:
    """What is held below a sandbox's directory, as long as this is open."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "held"
        self._folder.mkdir()
        for name in ("events", "gate"):
            os.mkfifo(self._folder / name)
        self._events = os.open(self._folder / "events", os.O_RDWR | os.O_NONBLOCK)
        self._said = b""

    def next(self, ended: int, seconds: float) -> list[str]:
        """What is held now: the first thing, and whatever comes until nothing does. Empty: `ended` can be read from."""
        deadline = time.monotonic() + seconds
        while True:
            wait = _NOTHING_MORE_SECONDS if self._said else deadline - time.monotonic()
            assert wait > 0, f"nothing is held and nothing ended within {seconds:.0f} s"
            ready, _, _ = select.select([self._events, ended], [], [], wait)
            if self._events in ready:
                self._said += os.read(self._events, 65536)
            elif ready or self._said:
                said, self._said = self._said.decode().splitlines(), b""
                return said

    def late(self, works: Callable[[], bool], seconds: float) -> list[str]:
        """Whatever else comes to be held, and goes on at once, until nothing `works` any more."""
        deadline = time.monotonic() + seconds
        while works():
            assert time.monotonic() < deadline, f"what was begun does not end within {seconds:.0f} s"
            self.open_gate()
            if select.select([self._events], [], [], 0.05)[0]:
                self._said += os.read(self._events, 65536)
        said, self._said = self._said.decode().splitlines(), b""
        return said

    def open_gate(self) -> None:
        """Let those who wait go on."""
        os.close(os.open(self._folder / "gate", os.O_RDWR))

    def end(self) -> None:
        """Nothing is held any more."""
        shutil.rmtree(self._folder)
        os.close(self._events)
