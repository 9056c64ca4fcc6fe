"""What is wrong with a stack, said so that the reader can put it right.

A `Problem` is one wrong value. `Problems` is the exception that carries all of them: its text is the whole report.
A warning has the shape of a problem, but nothing is refused for it; `warning_report` is the text of all of them.
A `Refusal` is what a check of a single value raises; whoever reads the stack adds the path and the value to it.
"""

import difflib
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 100
NO_BREAK = "\u00a0"
"""A space at which the report does not break its lines; it is printed as an ordinary one."""


class Refusal(ValueError):  # noqa: N818 - what it is called where it is raised
    """One value is not acceptable: what is wrong, what is allowed instead and how to put it right."""

    def __init__(self, what: str, *, allowed: str = "", remedy: str = "", hide: bool = False) -> None:
        """`hide`: the value may hold a secret and must not be repeated."""
        super().__init__(what)
        self.what = what
        self.allowed = allowed
        self.remedy = remedy
        self.hide = hide

    def at(self, path: str, value: str) -> "Problem":
        """The same refusal as a problem of the stack file."""
        shown = "(not shown)" if self.hide else value
        return Problem(path=path, value=shown, what=self.what, allowed=self.allowed, remedy=self.remedy)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One wrong value of a stack file."""

    path: str
    """The place of the value, as it is written in the file: `mig-k8s:nodePools[0].migDevices`."""
    value: str
    """The value as YAML flow text, shortened; empty when it is missing or must not be shown."""
    what: str
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        head = f"{self.path}: {self.value}" if self.value else self.path
        lines = textwrap.wrap(head, WIDTH, subsequent_indent="      ", break_on_hyphens=False)
        for label, text in (("", self.what), ("allowed: ", self.allowed), ("do: ", self.remedy)):
            if text:
                lines += textwrap.wrap(
                    label + text,
                    WIDTH,
                    initial_indent="    ",
                    subsequent_indent="    " + " " * len(label),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        return "\n".join(_visible(line.replace(NO_BREAK, " ")) for line in lines)


def _visible(line: str) -> str:
    """What a stack file holds must not steer the terminal or turn the text around: such characters as `\\x1b`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def names_a_secret(key: str) -> bool:
    """Whether the value of a key with this name may be a secret, and must not be repeated in a report."""
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    public = plain.startswith("secretsencryption") or plain.endswith(
        ("file", "secretname", "configsecret", "secrets", "ref")
    )
    word = r"token|passw(or)?d|secret|credential|passphrase|(api|access|private|account|host|encryption)key"
    return bool(re.search(word, plain)) and not public


class Problems(Exception):  # noqa: N818 - it is the report itself, not an error in the program
    """All problems of a stack; `str()` is the report for the person who wrote the stack."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.problems)
        head = "1 problem in this stack" if count == 1 else f"{count} problems in this stack"
        return "\n\n".join([f"{head}; nothing was made or changed.", *map(str, self.problems)])


def warning_report(warnings: Iterable[Problem]) -> str:
    """The text of a stack's warnings; empty when there are none."""
    blocks = list(map(str, warnings))
    head = "1 warning about this stack" if len(blocks) == 1 else f"{len(blocks)} warnings about this stack"
    return "\n\n".join([f"{head}; nothing is refused for it.", *blocks]) if blocks else ""


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; upper and lower case do not matter."""
    by_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_case, n=1, cutoff=0.6)
    return by_case[near[0]] if near else None
