"""The lines on a terminal's screen: their words and colours, and what a program writes to have them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from pyte import Screen
from pyte.graphics import BG_AIXTERM, FG_AIXTERM, FG_ANSI, FG_BG_256
from pyte.screens import Char

_COLOURS: dict[str, int | None] = {
    **{name: code % 10 for code, name in FG_ANSI.items()},
    # As paper one of the bright colours has another name there, misspelt.
    **{name: code % 10 + 8 for table in (FG_AIXTERM, BG_AIXTERM) for code, name in table.items()},
    **{name: number for number, name in enumerate(FG_BG_256[:16])},
    "default": None,
}
"""A colour's number by its names in pyte: it has another where it is asked for by its place among 256."""


@dataclass(frozen=True, slots=True)
class Style:
    """`ink`, `paper`: one of the sixteen colours of a terminal, or its own."""

    ink: int | None = None
    paper: int | None = None
    bold: bool = False
    underlined: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one style, beginning at this column; spaces are at its ends only where they are seen."""

    column: int
    text: str
    style: Style


Line = tuple[Run, ...]


def shown(screen: Screen) -> tuple[Line, ...]:
    """The lines of a screen down to the last one with something in it.

    Raises ValueError for a character that `Run` cannot hold, since the picture would be a wrong one.
    """
    lines = [tuple(_runs(screen.buffer[row])) for row in range(screen.lines)]
    return tuple(lines[: max((row for row, line in enumerate(lines, 1) if line), default=0)])


def written(line: Line) -> str:
    """What a program writes to have this line."""
    text, column = "", 0
    for run in line:
        text += " " * (run.column - column) + (
            f"\x1b[{_numbers(run.style)}m{run.text}\x1b[0m" if run.style != Style() else run.text
        )
        column = run.column + len(run.text)
    return text


def _runs(cells: Mapping[int, Char]) -> Iterator[Run]:
    column, end = 0, max(cells, default=-1) + 1
    for style, alike in groupby((cells[each] for each in range(end)), _style):
        text = "".join(cell.data for cell in alike)
        seen = text if style.paper is not None or style.underlined else text.strip()
        if seen:
            yield Run(column + text.index(seen), seen, style)
        column += len(text)


def _style(cell: Char) -> Style:
    drawn = Char(cell.data, cell.fg, cell.bg, bold=cell.bold, underscore=cell.underscore)
    if cell != drawn or len(cell.data) != 1 or not {cell.fg, cell.bg} <= _COLOURS.keys():
        raise ValueError(f"a picture would not show this as a terminal does: {cell}")
    return Style(_COLOURS[cell.fg], _COLOURS[cell.bg], cell.bold, cell.underscore)


def _numbers(style: Style) -> str:
    switches = {"1": style.bold, "4": style.underlined}
    colours = [f"{code};5;{colour}" for code, colour in (("38", style.ink), ("48", style.paper)) if colour is not None]
    return ";".join(["0", *(number for number, on in switches.items() if on), *colours])
