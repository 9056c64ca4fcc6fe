"""A terminal without an end: what programs wrote to it, line by line, with colours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_PART = re.compile(
    r"\x1b\[(?P<numbers>[0-9;?]*)(?P<command>[A-Za-z])"  # a control sequence
    r"|(?P<question>\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"  # an operating system command, such as the colour of the paper
    r"|(?P<control>[\x00-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
)
_IGNORED = {"h", "l", "n"}
"""Modes, such as whether the cursor is seen, and questions about it."""


@dataclass(frozen=True, slots=True)
class Style:
    """`ink`, `paper`: one of the sixteen colours of a terminal, or its own."""

    ink: int | None = None
    paper: int | None = None
    bold: bool = False
    underlined: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one style, beginning at this column."""

    column: int
    text: str
    style: Style


Line = tuple[Run, ...]


class Screen:
    """Nothing scrolls away: the lines of all that was written, of which a terminal shows the last.

    What it does not know is refused, since the picture would be a wrong one.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._cells: list[list[tuple[str, Style]]] = [[]]
        self._row = self._column = 0
        self._style = Style()

    def feed(self, text: str) -> None:
        """Go on with what a program writes. Raises ValueError for a sequence that is not known here."""
        end = 0
        for part in _PART.finditer(text):
            if part.start() != end:
                break
            end = part.end()
            if part["command"]:
                self._control(part["command"], part["numbers"])
            elif part["control"]:
                self._move(part["control"])
            elif part["text"]:
                self._write(part["text"])
        if end != len(text):
            raise ValueError(f"what is this for a terminal? {text[end : end + 20]!r}")

    def lines(self) -> tuple[Line, ...]:
        """All of them, without spaces at their ends."""
        return tuple(tuple(_runs(cells)) for cells in self._cells)

    def _control(self, command: str, numbers: str) -> None:
        if command == "m":
            self._style = _styled(self._style, [int(number or 0) for number in numbers.split(";")])
        elif command == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif command == "K" and numbers in ("", "0"):
            del self._cells[self._row][self._column :]
        elif command == "J" and numbers in ("", "0"):
            del self._cells[self._row][self._column :], self._cells[self._row + 1 :]
        elif command not in _IGNORED:
            raise ValueError(f"what is this for a terminal? ESC[{numbers}{command}")

    def _move(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\n":
            self._row += 1
            if self._row == len(self._cells):
                self._cells.append([])
        else:
            raise ValueError(f"what is this for a terminal? {control!r}")

    def _write(self, text: str) -> None:
        for character in text:
            if self._column == self._columns:
                self._move("\r")
                self._move("\n")
            cells = self._cells[self._row]
            cells.extend([(" ", Style())] * (self._column - len(cells)))
            cells[self._column : self._column + 1] = [(character, self._style)]
            self._column += 1


def written(line: Line) -> str:
    """What a program writes to have this line."""
    text, column = "", 0
    for run in line:
        text += " " * (run.column - column) + (
            f"\x1b[{_numbers(run.style)}m{run.text}\x1b[0m" if run.style != Style() else run.text
        )
        column = run.column + len(run.text)
    return text


def _numbers(style: Style) -> str:
    switches = {"1": style.bold, "4": style.underlined}
    colours = [f"{code};5;{colour}" for code, colour in (("38", style.ink), ("48", style.paper)) if colour is not None]
    return ";".join(["0", *(number for number, on in switches.items() if on), *colours])


def _runs(cells: list[tuple[str, Style]]) -> Iterator[Run]:
    column, text, style = 0, "", Style()
    for number, (character, its) in enumerate([*cells, ("", Style())]):
        if not character or its != style:
            if text.strip() or (text and (style.paper is not None or style.underlined)):
                yield Run(column, text.rstrip() if style == Style() else text, style)
            column, text, style = number, "", its
        text += character


_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    4: {"underlined": True},
    22: {"bold": False},
    24: {"underlined": False},
}
_INKS = {begin + number: shift + number for begin, shift in ((30, 0), (90, 8)) for number in range(8)}
_OF_PAPER = 10
"""What the number of a colour of paper has more than that of the same ink."""


def _styled(style: Style, numbers: list[int]) -> Style:
    """The style after a "select graphic rendition" with these numbers."""
    left = list(numbers)
    while left:
        match left:
            case [0, *left]:
                style = Style()
            case [38, 5, colour, *left] if colour < 16:
                style = replace(style, ink=colour)
            case [48, 5, colour, *left] if colour < 16:
                style = replace(style, paper=colour)
            case [number, *left] if number in _SWITCHES:
                style = replace(style, **_SWITCHES[number])
            case [number, *left] if number in _INKS or number == 39:
                style = replace(style, ink=_INKS.get(number))
            case [number, *left] if number - _OF_PAPER in _INKS or number == 49:
                style = replace(style, paper=_INKS.get(number - _OF_PAPER))
            case _:
                raise ValueError(f"what is this for a colour? {numbers}")
    return style
