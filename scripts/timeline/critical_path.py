"""The critical path of an update: what its end waited for, without gaps and without overlap."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from scripts.timeline.engine import Action, chain
from scripts.timeline.machine import BOOT, REBOOT
from scripts.timeline.span import Span

_WAITS_FOR_MACHINE = ("vm", "release", "converge", "resume", "ready")
"""Resources of a machine that end when the machine has come so far."""
_SAME = timedelta(seconds=1)
"""A machine's records have whole seconds."""


def critical_path(made: Sequence[Action], machines: Mapping[str, Sequence[Span]]) -> list[Span]:
    """Resources of the engine; where one only waited for its machine, what the machine did meanwhile."""
    path: list[Span] = []
    for action in chain(made):
        begins = max(action.begins, path[-1].ends) if path else action.begins
        if begins >= action.ends:
            continue
        if action.name in _WAITS_FOR_MACHINE and action.lane in machines:
            path += _meanwhile(action, begins, machines[action.lane])
        else:
            path.append(_part(action, begins, action.ends))
    return _joined(path)


def _meanwhile(action: Action, begins: datetime, way: Sequence[Span]) -> list[Span]:
    """Spans of the machine during an action, found from its end backwards: each ended last before the next began. Time
    without a span is the action's own. A boot counts also where the action ended in the middle of it: nothing else goes
    on meanwhile.
    """
    found: list[Span] = []
    then = action.ends
    while then > begins:
        before = [
            span
            for span in way
            if span.begins < then and begins < span.ends and (span.ends <= then + _SAME or span.name in (BOOT, REBOOT))
        ]
        last = max(before, key=lambda span: span.ends, default=None)
        ended = begins if last is None else min(last.ends, then)
        if ended < then:
            found.append(_part(action, ended, then))
        if last is None:
            break
        found.append(_part(last, max(last.begins, begins), ended))
        then = max(last.begins, begins)
    return [span for span in found[::-1] if span.seconds > 0]


def _part(span: Span, begins: datetime, ends: datetime) -> Span:
    return Span(lane=span.lane, name=span.name, begins=begins, ends=ends)


def _joined(path: Sequence[Span]) -> list[Span]:
    """The same with parts of one thing that follow each other put together: two commands see one stage."""
    found: list[Span] = []
    for span in path:
        if found and (found[-1].lane, found[-1].name) == (span.lane, span.name):
            found[-1] = _part(span, found[-1].begins, span.ends)
        else:
            found.append(span)
    return found
