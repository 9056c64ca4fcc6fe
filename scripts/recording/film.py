"""The pictures of a recording: what changed and when, with waits cut short."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from pyte import Screen, Stream

from scripts.recording.cast import Cast
from scripts.recording.lines import Line, shown, written

_PICTURE_SECONDS = 0.5
"""What changes faster is seen together."""
_WAIT_SECONDS = 1.0
"""No picture but the last is shown for longer."""
_LAST_SECONDS = 10.0
_ROWS = 1000
"""More than a recording has, so that no line scrolls away: a picture is the last of them."""
_TIME = re.compile(r"\d+(\.\d+)?|\.+")


@dataclass(frozen=True, slots=True)
class Picture:
    """The lines that the terminal shows, and for how long."""

    lines: tuple[Line, ...]
    seconds: float


def pictures(cast: Cast) -> tuple[Picture, ...]:
    """The pictures of a recording, in their order."""
    film = _moments(cast)
    ends = [*(at for at, _ in film[1:]), None]
    return tuple(
        Picture(lines[-cast.rows :], _LAST_SECONDS if end is None else min(_WAIT_SECONDS, end - at))
        for (at, lines), end in zip(film, ends, strict=True)
    )


def shortened(cast: Cast) -> Cast:
    """A recording with the same pictures, and nothing of what was between them: a tenth of the size."""
    outputs, before = [], tuple[Line, ...]()
    for at, lines in _moments(cast):
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(before, lines, strict=False))))
        up = f"\x1b[{len(before) - same}A" if len(before) > same else ""
        outputs.append((at, f"{up}\x1b[J" + "".join(f"{written(line)}\r\n" for line in lines[same:])))
        before = lines
    return replace(cast, outputs=tuple(outputs))


def _moments(cast: Cast) -> list[tuple[float, tuple[Line, ...]]]:
    """The time and lines of each moment. Moments that differ only in running times are one wait, shown by its end."""
    film: list[tuple[float, tuple[Line, ...]]] = []
    for at, lines in _calm(cast):
        if film and _words(film[-1][1]) == _words(lines):
            film[-1] = (film[-1][0], lines)
        else:
            film.append((at, lines))
    return film


def _calm(cast: Cast) -> Iterator[tuple[float, tuple[Line, ...]]]:
    """The moments after each output that another one does not follow at once, and some within a flood of outputs."""
    screen = Screen(cast.columns, _ROWS)
    stream, last = Stream(screen), float("-inf")
    following = [*(at for at, _ in cast.outputs[1:]), float("inf")]
    for (at, text), then in zip(cast.outputs, following, strict=True):
        stream.feed(text)
        if max(then - at, at - last) >= _PICTURE_SECONDS:
            yield at, shown(screen)
            last = at


def _words(lines: tuple[Line, ...]) -> list[str]:
    return [_TIME.sub("", " ".join(run.text for run in line)).strip() for line in lines]
