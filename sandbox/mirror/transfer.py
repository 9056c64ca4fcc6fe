"""Which bytes of a file are asked for, and how they are sent in the time that the real ones would take."""

import math
import re
import time
from collections.abc import Callable
from typing import BinaryIO

_STEP_SECONDS = 0.1
_CHUNK = 256 * 1024


def part(header: str | None, size: int) -> range | None:
    """What a request's `Range` asks of a file of this size: None for all of it, an empty one if it has nothing there.

    One range in bytes is understood. Of anything else a server may answer the whole file (RFC 9110, 14.2).
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if match[2] and last < first:
        return None
    return range(first, min(last + 1, size))


def send(content: BinaryIO, size: int, seconds: float, write: Callable[[bytes], object]) -> None:
    """Send so many bytes of `content` from where it is, spread evenly over `seconds`.

    So who is cut off half-way has half of them, and who counts bytes sees a transfer that goes on.
    """
    began, steps = time.monotonic(), max(1, math.ceil(seconds / _STEP_SECONDS))
    for step in range(steps):
        time.sleep(max(0.0, began + seconds * (step + 1) / steps - time.monotonic()))
        left = size * (step + 1) // steps - size * step // steps
        while left and (chunk := content.read(min(left, _CHUNK))):
            write(chunk)
            left -= len(chunk)
