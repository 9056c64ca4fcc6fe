"""The timeline of one update: what happened on which machine, what its end waited for, what could not be avoided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from machine.documents.result import Result
from scripts.timeline.critical_path import critical_path
from scripts.timeline.engine import STACK, actions, last_update
from scripts.timeline.machine import BOOT, REBOOT, way
from scripts.timeline.span import Span, covered

Records = tuple[str, Result]
"""The records of a machine: cloud-init's log, and the result file."""
_VM = "vm"


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """`lanes`: by machine, and the stack first, what was done there; `path`: what the end waited for, without gaps."""

    begun: datetime
    ended: datetime
    lanes: Mapping[str, Sequence[Span]]
    path: Sequence[Span]
    downloads: Sequence[Span] = ()
    """What machines fetched, where that is known: in the sandbox."""

    @property
    def seconds(self) -> float:
        """The seconds from its beginning to its end."""
        return (self.ended - self.begun).total_seconds()

    @property
    def unavoidable(self) -> float:
        """Seconds in which a machine booted or rebooted, or something was downloaded: each second once."""
        spans = [span for lane in self.lanes.values() for span in lane if span.name in (BOOT, REBOOT)]
        return covered([*spans, *self.downloads])


def timeline(
    resources: Sequence[Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
    records: Mapping[str, Records],
    downloads: Sequence[Span] = (),
) -> Timeline | None:
    """The last `up`, by the engine's state and history and the machines' records; None before the first."""
    if (update := last_update(history)) is None:
        return None
    begun, ended = update
    made = actions(resources, records, begun)
    asked = {action.lane: action.begins for action in made if action.name == _VM}
    ways = {
        machine: [span for span in way(machine, asked.get(machine, begun), *its) if span.begins >= begun]
        for machine, its in records.items()
    }
    fetched = [span for span in downloads if span.begins >= begun]
    lanes: dict[str, Sequence[Span]] = {STACK: [action for action in made if action.lane == STACK]}
    for machine, spans in ways.items():
        of_engine = [action for action in made if action.lane == machine]
        its_downloads = [span for span in fetched if span.lane == machine]
        lanes[machine] = sorted([*of_engine, *spans, *its_downloads], key=lambda span: (span.begins, span.ends))
    return Timeline(begun=begun, ended=ended, lanes=lanes, path=critical_path(made, ways), downloads=fetched)
