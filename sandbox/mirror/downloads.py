"""What the mirror sent, to which address and when: a line for each body that took its time."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sandbox.instance import Sandbox
from scripts.timeline.span import Span

_FILE = "downloads"


def note(directory: Path, client: str, path: str, seconds: float) -> None:
    """Note a download that has just ended. One line in one write: many requests are answered at once."""
    ended = time.time()
    line = json.dumps({"client": client, "path": path, "begins": ended - seconds, "ends": ended})
    with (directory / _FILE).open("a") as file:
        file.write(f"{line}\n")


def downloads(sandbox: Sandbox, names: Mapping[str, str]) -> list[Span]:
    """The downloads of the machines with these names by address, each by the last part of its path or by its image."""
    file = sandbox.root / "mirror" / _FILE
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [
        Span(
            lane=names[line["client"]],
            name=f"get {line['path'].rpartition('/')[2]}",
            begins=datetime.fromtimestamp(line["begins"], UTC),
            ends=datetime.fromtimestamp(line["ends"], UTC),
        )
        for line in lines
        if line["client"] in names
    ]
