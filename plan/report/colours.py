"""The colour of an instance, the same in the terminal and in a picture: by its compute slices."""

import os
from dataclasses import dataclass
from typing import TextIO

BOLD, GOOD, BAD = "1", "1;32", "1;31"
PLAIN = "\033[0m"


@dataclass(frozen=True, slots=True)
class Colour:
    """A background for black text: its ANSI code, and the fill of an SVG shape."""

    ansi: int
    fill: str


_PALETTE = (
    Colour(44, "#bfdbfe"),
    Colour(42, "#bbf7d0"),
    Colour(45, "#e9d5ff"),
    Colour(46, "#a5f3fc"),
    Colour(41, "#fecaca"),
    Colour(47, "#e2e8f0"),
    Colour(43, "#fde68a"),
    Colour(104, "#93c5fd"),
    Colour(102, "#86efac"),
    Colour(105, "#d8b4fe"),
    Colour(106, "#67e8f9"),
    Colour(101, "#fca5a5"),
    Colour(107, "#cbd5e1"),
    Colour(103, "#fcd34d"),
)


def colour(compute_slices: int) -> Colour:
    """The colour of an instance with so many compute slices, 1 or more; beyond the palette it begins again."""
    return _PALETTE[(compute_slices - 1) % len(_PALETTE)]


def wanted(stream: TextIO) -> bool:
    """Whether somebody reads this in a terminal, and has not asked for no colours (`NO_COLOR`, set and not empty)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def on(compute_slices: int, text: str) -> str:
    """The text on that colour, in a terminal."""
    return painted(text, f"30;{colour(compute_slices).ansi}")


def painted(text: str, codes: str = BOLD) -> str:
    """The text as a terminal shows it with these codes of "select graphic rendition" (ECMA-48)."""
    return f"\033[{codes}m{text}{PLAIN}"
