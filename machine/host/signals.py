"""Signals that ask a command to end: turned into an exception, put off, or ignored on the way back."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this command to end; its text is the signal's name. No `except Exception` takes it."""


def raise_on_signals() -> None:
    """Have the first signal raise Interrupted, and ignore further ones, so that the clean-up is not cut off."""
    for number in SIGNALS:
        signal.signal(number, _raise)


def ignore() -> None:
    """Ignore signals from now on, in this process and the programs that it starts."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore signals while the block runs."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """A signal that comes in here takes effect at the end: nvidia-smi must not go on while its change is being undone.

    Blocked, so that programs started in here do not get it either; and only remembered, for what another thread gets.
    """
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in SIGNALS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _raise(number: int, _frame: FrameType | None) -> None:
    ignore()
    raise Interrupted(signal.Signals(number).name)
