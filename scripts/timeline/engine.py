"""What the engine did in its last update, by its state: which resources, when, and what each waited for.

The state tells when a resource was made or changed and what it depends on. That it began when the last of those had
ended is inferred; the engine itself keeps no such time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from scripts.timeline.span import Span

STACK = "stack"
"""The lane of what belongs to no machine."""
_PROGRAM = "pulumi:pulumi:Stack"
"""Made by the program before anything else: until then it was being started."""


@dataclass(frozen=True, kw_only=True)
class Action(Span):
    """A resource made or changed. `waited_for`: those of the same update that it depends on."""

    urn: str
    waited_for: tuple[str, ...]


def last_update(history: Sequence[Mapping[str, Any]]) -> tuple[datetime, datetime] | None:
    """When the last `up` began and ended, by `pulumi stack history --json`; None before the first one."""
    for update in history:
        if update["kind"] == "update":
            return _moment(update["startTime"]), _moment(update["endTime"])
    return None


def actions(resources: Iterable[Mapping[str, Any]], machines: Collection[str], since: datetime) -> list[Action]:
    """What was made or changed since then, as it ended."""
    of_update = {
        each["urn"]: each
        for each in resources
        if (each.get("custom") or each["type"] == _PROGRAM)
        and _moment(each.get("modified", "")) >= since
        and not _is_default_provider(each)
    }
    program = [urn for urn, each in of_update.items() if each["type"] == _PROGRAM]

    def awaited(urn: str) -> list[str]:
        resource = of_update[urn]
        provider = str(resource.get("provider", "")).rpartition("::")[0]
        before = (*program, *resource.get("dependencies", ()), provider)
        return [other for other in before if other in of_update and other != urn]

    @cache
    def ended(urn: str) -> datetime:
        return _moment(of_update[urn]["modified"])

    made = []
    for urn, resource in of_update.items():
        name = urn.rpartition("::")[2]
        component = str(resource.get("parent", "")).rpartition("::")[2]  # by its name: gpu-operator-… is not of gpu
        lane = component if component in machines else STACK
        before = awaited(urn)
        begins = max(map(ended, before), default=since)
        made.append(
            Action(
                lane=lane,
                name="program starts" if resource["type"] == _PROGRAM else name.removeprefix(f"{lane}-"),
                begins=min(begins, ended(urn)),
                ends=ended(urn),
                urn=urn,
                waited_for=tuple(before),
            )
        )
    return sorted(made, key=lambda action: action.ends)


def _is_default_provider(resource: Mapping[str, Any]) -> bool:
    """Whether the engine makes this provider by itself when it is first needed: nothing tells when that begins."""
    name = str(resource["urn"]).rpartition("::")[2]
    return str(resource["type"]).startswith("pulumi:providers:") and name.startswith("default")


def chain(made: Sequence[Action]) -> list[Action]:
    """The actions that the end of the update waited for, each for the one before it, in their order."""
    by_urn = {action.urn: action for action in made}
    found: list[Action] = []
    following = max(made, key=lambda action: action.ends, default=None)
    while following is not None:
        found.append(following)
        before = [by_urn[urn] for urn in following.waited_for]
        following = max(before, key=lambda action: action.ends, default=None)
    return found[::-1]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text or "1970-01-01T00:00:00Z")
