"""The engine's output as a log to read: what begins, what it says, how it ended, in lines of a terminal's width."""

import re
import textwrap
import threading
from collections.abc import Iterable, Iterator

_INDENT = " " * 6
COLUMNS = 100
"""The width of a line without a terminal, and what the engine's own display needs: in a narrower one it cuts off what a
resource says."""
_STEP = re.compile(
    r" (?P<head>(?P<mark>\S{1,2}) +(?P<kind>\S+:\S+) (?P<name>\S+)"
    r" (?P<verb>\w+)(?: replacement| original)? \([\w.]+\))"
    r"(?P<retained>\[retain\])?(?: \[diff: [^]]*\])?;? ?(?P<said>.*)"
)
_FAILED = re.compile(r" (?P<head>\S{1,2} +\S+:\S+ \S+) \*\*(?P<verb>\w+ failed)\*\* error: .*")
"""What failed and why; the reason has been said, and stands whole in the diagnostics."""
_DIAL = re.compile(r"(?<=^Dial )\d+")
_COMPONENTS = ("mig-k8s:", "pulumi:pulumi:Stack")


def relay(lines: Iterable[str], columns: int = COLUMNS) -> threading.Thread:
    """Print the engine's lines, readable, until there are no more; returns at once."""
    thread = threading.Thread(target=lambda: [print(line, flush=True) for line in readable(lines, columns)])
    thread.start()
    return thread


def readable(lines: Iterable[str], columns: int = COLUMNS) -> Iterator[str]:
    """What is worth a line. A resource that says something as it works says it without its type, and says it once; of
    one dial that failed after the other only the first is shown.

    Nothing that is said is shortened: what is longer than a line goes on below it. Whatever is no step of a resource
    (diagnostics, the summary) passes as it is.
    """
    last: dict[str, str] = {}
    wrapper = textwrap.TextWrapper(
        width=columns,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT * 2,
        replace_whitespace=False,
        # Names, addresses and commands are copied from these lines: none is broken.
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        text = line.rstrip("\n")
        if failed := _FAILED.fullmatch(text):
            yield f" {failed['head']} {failed['verb']}"
            continue
        step = _STEP.fullmatch(text)
        if step is None:
            yield text
            continue
        name, said = step["name"], step["said"].rstrip()
        if step["kind"].startswith(_COMPONENTS) or step["mark"] == "+-" or (step["mark"] == "--" and step["retained"]):
            continue  # nothing happens: it has no life of its own, is replaced by two other steps, or only forgotten
        same = _DIAL.sub("", said)
        if said and last.get(name) != same:
            last[name] = same
            yield from wrapper.wrap(f"{name}: {said}")
        if not said or not step["verb"].endswith("ing"):
            yield f" {step['head']}"
