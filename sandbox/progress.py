"""What the sandbox is doing and where the time goes, on standard error."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

_HEARTBEAT_SECONDS = 15
"""Without a terminal, a step says every so many seconds that it still runs."""
_running: list[str] = []
"""Titles of the steps under way, in the order in which they began: only the last shows that it still runs."""


def say(text: str) -> None:
    """One line for whoever is watching."""
    print(f"· {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str, expected: str | None = None, *, silent: bool = True) -> Iterator[None]:
    """Announce `title`, show that it still runs, and say how long it took or that it failed.

    `expected` is a rough duration for people ("about 4 min"). A step that is not `silent` prints lines of its own.
    """
    say(f"{title} ({expected}) …" if expected else f"{title} …")
    started, ended = time.monotonic(), threading.Event()
    heart = threading.Thread(target=_beat, args=(title, started, ended), daemon=True)
    if silent:
        heart.start()
    outcome = "failed after"
    _running.append(title)
    try:
        yield
        outcome = "done in"
    finally:
        _running.remove(title)
        ended.set()
        if silent:
            heart.join()
        say(f"{title}: {outcome} {duration(time.monotonic() - started)}")


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.4 s`, `42 s`, `3 min 23 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _beat(title: str, started: float, ended: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    while not ended.wait(1 if terminal else _HEARTBEAT_SECONDS):
        elapsed = duration(time.monotonic() - started)
        if _running[-1:] != [title]:
            continue
        if terminal:
            print(f"\r  {title}: {elapsed} ", end="", file=sys.stderr, flush=True)
        else:
            say(f"{title}: {elapsed} …")
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
