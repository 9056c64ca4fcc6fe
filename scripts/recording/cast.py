"""A recording of a terminal in asciinema's form (version 2): a line for the terminal, then one for each output."""

import json
import os
import pty
import re
import subprocess
import termios
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS, ROWS = 100, 30


@dataclass(frozen=True, slots=True)
class Cast:
    """`outputs`: seconds since the beginning, and what was written then: whole lines, or the beginning of the last."""

    title: str
    columns: int
    rows: int
    outputs: tuple[tuple[float, str], ...]

    @classmethod
    def read(cls, path: Path) -> "Cast":
        """Read a recording. Raises ValueError for a file that is something else."""
        head, *lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        if head.get("version") != 2:
            raise ValueError(f"{path} is not a recording of asciinema's version 2")
        outputs = tuple((seconds, text) for seconds, kind, text in lines if kind == "o")
        return cls(title=head["title"], columns=head["width"], rows=head["height"], outputs=outputs)

    def write(self, path: Path) -> None:
        """Write the recording in the form that `read` reads."""
        head = {"version": 2, "width": self.columns, "height": self.rows, "title": self.title}
        lines = [head, *([seconds, "o", text] for seconds, text in self.outputs)]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")


def record(command: Sequence[str], title: str, *, hidden: Mapping[str, str]) -> tuple[Cast, int]:
    """Run the command in a terminal of its own, and its exit status. What it writes is shown here too.

    `hidden`: what has no place in a recording, such as the path of a home, and what stands there instead.
    """
    terminal, its = pty.openpty()
    termios.tcsetwinsize(its, (ROWS, COLUMNS))
    size = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    begun = time.monotonic()
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env={**os.environ, **size}) as process:
        os.close(its)
        outputs = tuple((round(at - begun, 2), without(hidden, text)) for at, text in whole_lines(_read(terminal)))
    os.close(terminal)
    return Cast(title=title, columns=COLUMNS, rows=ROWS, outputs=outputs), process.returncode


def _read(terminal: int) -> Iterable[tuple[float, bytes]]:
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # the command has ended, and with it the terminal
            return
        if not data:
            return
        os.write(1, data)
        yield time.monotonic(), data


def whole_lines(pieces: Iterable[tuple[float, bytes]]) -> Iterable[tuple[float, str]]:
    """The same outputs with no line in two pieces, so that each text to hide is in one. The last line may be open."""
    rest, at = b"", 0.0
    for when, data in pieces:
        at = when
        whole, end, more = (rest + data).rpartition(b"\n")
        rest = more
        if end:
            yield when, (whole + end).decode(errors="replace")
    if rest:
        yield at, rest.decode(errors="replace")


def without(hidden: Mapping[str, str], text: str) -> str:
    """The text with what is hidden replaced where it is not part of another word: a host may be called `vm`.

    The longest is replaced first: a home may have the checkout in it.
    """
    words = "|".join(map(re.escape, sorted(hidden, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.-])(?:{words})(?![\w-])", lambda found: hidden[found[0]], text) if words else text
