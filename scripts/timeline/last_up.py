"""The timeline of a stack's last `up`, by the engine's state and history and by what each machine has noted."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine.documents.form import DocumentError
from machine.documents.result import PATH, Result
from scripts.stack import NO_WAY_IN, StackError, no_way_in
from scripts.timeline.machine import CLOUD_INIT
from scripts.timeline.span import Span
from scripts.timeline.svg import svg
from scripts.timeline.text import text
from scripts.timeline.update import Records, Timeline, timeline

_BETWEEN = "mig-k8s: and the result"
_READ = f"sudo sh -c 'cat {CLOUD_INIT} && echo {_BETWEEN} && cat {PATH}'"


def records(machines: Mapping[str, Sequence[str]]) -> dict[str, Records]:
    """The records of each machine that lets somebody in. `machines`: by name an ssh command without its remote half.

    Raises StackError.
    """
    found = {}
    for name, ssh in machines.items():
        done = subprocess.run([*ssh, _READ], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == NO_WAY_IN:
            print(f"timeline: without {name}: {no_way_in(ssh)}", file=sys.stderr)
            continue
        log, between, result = done.stdout.partition(f"{_BETWEEN}\n")
        if done.returncode or not between:
            raise StackError(f"{name} has no records of its stages, see above: has it ever been brought up?")
        try:
            found[name] = (log, Result.from_json(result))
        except DocumentError as error:
            raise StackError(f"{name}: {error}") from None
    return found


def last(
    resources: Sequence[Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
    machines: Mapping[str, Records],
    downloads: Sequence[Span] = (),
) -> Timeline:
    """The timeline of the last `up`. Raises StackError where there was none."""
    found = timeline(resources, history, machines, downloads)
    if found is None:
        raise StackError("this stack was never brought up: `pulumi up` first")
    return found


def draw(found: Timeline, picture: Path | None) -> None:
    """Print it; `picture`: the file that gets it as SVG. Raises StackError."""
    print(text(found, min(shutil.get_terminal_size((100, 24)).columns, 140)))
    if picture is not None:
        try:
            picture.write_text(svg(found), encoding="utf-8")
        except OSError as error:
            raise StackError(f"{picture} cannot be written: {error.strerror}") from None
        print(f"\n{picture}")
