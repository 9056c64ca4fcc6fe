"""Which bytes of a file are asked for, and how they are sent."""

import re
from collections.abc import Callable
from typing import BinaryIO

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


def send(content: BinaryIO, size: int, write: Callable[[bytes], object]) -> None:
    """Send so many bytes of `content` from where it is."""
    while size and (chunk := content.read(min(size, _CHUNK))):
        write(chunk)
        size -= len(chunk)
