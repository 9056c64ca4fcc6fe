"""Running another program, the one way this package does it: no shell, a bound, nothing of the caller's environment."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSING, HUNG = 127, 124
"""Exit statuses of a program that is not there, or was ended because it did not end by itself."""


@dataclass(frozen=True)
class Ended:
    """How a program ended, with all it said."""

    command: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def succeeded(self) -> bool:
        """Whether its exit status is 0."""
        return self.status == 0

    def __str__(self) -> str:
        return shlex.join(self.command)


def run(command: Sequence[str], *, environment: Mapping[str, str], seconds: float, stdin: str = "") -> Ended:
    """Run a program to its end. One that is missing or hangs has ended with a status of its own and says so."""
    words = tuple(command)
    try:
        done = subprocess.run(
            words,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env=dict(environment),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ended(words, HUNG, "", f"`{shlex.join(words)}` did not end within {seconds:.0f} s")
    except OSError as error:
        return Ended(words, MISSING, "", f"`{words[0]}` cannot be run: {error.strerror}")
    return Ended(words, done.returncode, done.stdout, done.stderr)
