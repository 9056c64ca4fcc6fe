"""The expectations of the last verification, which the machine remembers so that it can be repeated."""

from machine.documents import expectations
from machine.documents.expectations import Expectations
from machine.documents.form import DocumentError
from machine.host import files
from machine.host.errors import DiskError, UsageError
from machine.host.this_machine import ThisMachine
from machine.verification.progress import line


def understood(text: str) -> Expectations:
    """Expectations that came in. Raises UsageError."""
    try:
        return Expectations.from_json(text)
    except DocumentError as error:
        raise UsageError(str(error)) from None


def remember(machine: ThisMachine, expected: Expectations) -> None:
    """Keep them for the next time, when every machine may run. No full disk keeps a verification from running."""
    try:
        files.write_if_changed(machine.path(expectations.PATH), expected.while_away({}).to_json(), 0o600)
    except DiskError as error:
        line(f"--again will not have these expectations: {error}")


def recall(machine: ThisMachine) -> Expectations:
    """Those of the last time. Raises UsageError."""
    path = machine.path(expectations.PATH)
    try:
        return understood(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        origin = "`pulumi up` leaves it on the first server when it verifies; it takes sudo"
        raise UsageError(f"{path}: {words}. {origin}") from None
