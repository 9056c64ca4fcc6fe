"""The digest of every edit of the table in tests/changes.py says of each machine what is written down there."""

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from minimal_stack import SECRETS, minimal
from pydantic import BaseModel

from changes import CHANGES, Change
from digest_words import said
from plan import StackPlan, plan_stack, read_settings
from plan.report.digest import digest
from plan.stack_file.node_pool import NodePool
from plan.stack_file.settings import Settings

_COSTS = {
    "`pulumi up` refuses it": "refused",
    "machines are replaced": "replaced",
    "machines are removed": "removed",
    "machines stop and start": "resized",
    "machines reboot": "rebooted",
    "pods may have to go": "pods",
    "RKE2 restarts, pods go on": "restarted",
}
_FREE = {"untouched", "stays", "new"}


def planned(sections: dict[str, object], location: str) -> StackPlan:
    return plan_stack(read_settings(minimal(**sections), location=location, secrets=SECRETS))


def costs(text: str) -> dict[str, set[str]]:
    """The first line: word → machines."""
    (line,) = re.findall(r"\A\*\*Cost:\*\* (.*)\.$", text, re.M)
    # What becomes of the cluster as a whole names no machine.
    parts = [part.rsplit(": ", 1) for part in line.split("; ") if ": " in part]
    return {_COSTS[cost]: set(names.split(", ")) for cost, names in parts}


@pytest.mark.parametrize("what", CHANGES)
def test_the_digest_says_of_each_machine_what_becomes_of_it(what: str) -> None:
    change: Change = CHANGES[what]
    text = digest(planned(change.before, "westeurope"), planned(change.after, change.location))
    untouched = [name for name, word in change.machines.items() if word == "untouched"]
    assert {**dict.fromkeys(untouched, "untouched"), **said(text)} == change.machines
    named = {
        word: {name for name, words in change.machines.items() if word in words.split(", ")} for word in _COSTS.values()
    }
    assert costs(text) == {word: names for word, names in named.items() if names}
    count = len(untouched)
    last = {0: "", 1: "The other machine is not touched.\n"}.get(
        count, f"The other {count} machines are not touched.\n"
    )
    if count == len(change.machines):
        last = "No machine is touched.\n"
    assert re.findall(r"^(?:The other|No machine).*touched\.\n", text, re.M) == ([last] if last else [])


def keys(section: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every key of a section, down to those that have no keys of their own."""
    for field in section.model_fields.values():
        below = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
        models = [each for each in below if issubclass(each, BaseModel)]
        key = f"{path}{field.alias}"
        if models and key not in ("vm.spot", "vm.autoShutdown"):  # they are there as a whole, or are not
            yield from keys(models[0], f"{key}.")
        else:
            yield key


def test_the_table_has_every_key_of_a_stack_file_and_every_word() -> None:
    edited = {key.split(":")[0].split(" ")[0] for what in CHANGES for key in what.split(", ")}
    of_older_versions = {"vm.rebuild", "sources.rke2Install"}  # refused, and without effect
    known = {*keys(Settings), *keys(NodePool, "nodePools.")} - {"location", "nodePools"} - of_older_versions
    assert known - edited == set()
    assert {"vm.osDisk.sizeGib", "nodePools.migDevices", "rke2.cis"} <= known
    words = {part for change in CHANGES.values() for word in change.machines.values() for part in word.split(", ")}
    assert words == set(_COSTS.values()) | _FREE
    assert len(CHANGES) >= 40
