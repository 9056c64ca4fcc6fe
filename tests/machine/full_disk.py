"""A disk without room, for the files that a test names."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

FillDisk = Callable[..., None]


def filler(monkeypatch: pytest.MonkeyPatch) -> FillDisk:
    """Fill the disk for the content of files of this name, where `when` holds."""
    real = os.fsync

    def fill(name: str, when: Callable[[], bool] = lambda: True) -> None:
        def full(handle: int) -> None:
            # A file is written beside its place, as .NAME.RANDOM.
            if Path(f"/proc/self/fd/{handle}").readlink().name.startswith(f".{name}.") and when():
                os.write(os.open("/dev/full", os.O_WRONLY), b"x")
            real(handle)

        monkeypatch.setattr(os, "fsync", full)

    return fill
