"""What people read while a command runs: whole lines on standard error. Standard output belongs to reports, standard
input to a document."""

import contextlib
import re
import sys
from typing import TypeVar

from machine.documents.form import Document, DocumentError
from machine.host.errors import UsageError

_Form = TypeVar("_Form", bound=Document)
_NAME_COLUMNS = 14
"""The longest name is fabric-manager."""


def say(text: str) -> bool:
    """Print a line for people. False where nobody listens any more, as after a cut SSH session; raises nothing."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        return False
    return True


def report(text: str) -> None:
    """A report for a program, on standard output; `text` ends with its own line feed."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()


def row(name: str, text: str) -> str:
    """A line of a table: a stage, or another part of a machine, and what is said of it."""
    return f"{name:<{_NAME_COLUMNS}} {text}"


def received(form: type[_Form]) -> _Form:
    """Read the document on standard input. Raises UsageError."""
    try:
        return form.from_json(sys.stdin.read())
    except (UnicodeDecodeError, DocumentError) as error:
        raise UsageError(str(error)) from error


def one_line(text: str) -> str:
    """Several lines of a tool as one: `first / second`; `nothing` where there is none."""
    return " / ".join(line.strip() for line in text.splitlines() if line.strip()) or "nothing"


def plain(text: str) -> str:
    """One line without colours and control characters, as programs print them for a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S ]|[\x00-\x1f\x7f]", "", text.rpartition("\r")[2] or text)
