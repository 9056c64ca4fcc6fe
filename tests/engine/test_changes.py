"""What the engine plans for every edit of the table in tests/changes.py is what is written down there."""

import re
from typing import Any

import pulumi
import pytest
from engine_plan import becomes

from changes import CHANGES, Change
from recording import Graph
from stacks import main_program, stack_file

pytestmark = pytest.mark.engine
_FILE = "Pulumi.dev.yaml"
_LIVED: dict[str, Graph] = {}


def run(sections: dict[str, Any], location: str, lived: Graph | None = None) -> Graph:
    """The real program with these sections and nothing else, beside what every stack has."""
    left_out = {key.removeprefix("mig-k8s:"): None for key in stack_file(_FILE) if key.startswith("mig-k8s:")}
    replaced = {**left_out, "adminCidrs": ["203.0.113.7/32"], **sections, "azure-native:location": location}
    if "agentSocketPath" in sections["ssh"]:
        replaced["sshPrivateKey"] = None
    return main_program(_FILE, preview=False, lived=lived, replaced=replaced)


def lived(change: Change) -> Graph:
    """The stack before the edit; none is brought up twice."""
    if change.stack not in _LIVED:
        _LIVED[change.stack] = run(change.before, "westeurope")
    return _LIVED[change.stack]


@pytest.mark.parametrize("what", CHANGES)
def test_the_engine_plans_for_each_machine_what_is_written_down(what: str) -> None:
    change = CHANGES[what]
    refused = {name for name, word in change.machines.items() if word == "refused"}
    before = lived(change)
    if not refused or change.stack == "protected":  # which the engine itself refuses, and not the program
        assert becomes(before, run(change.after, change.location, before)) == change.machines
        return
    with pytest.raises(pulumi.RunError) as told:
        run(change.after, change.location, before)
    text = " ".join(str(told.value).split())
    named = re.findall(r"([\w-]+) was made with|called ([\w-]+)-0 in Azure", text)
    assert refused >= ({name for names in named[:1] for name in names} - {"", "stack"})
    kept = next(key for key in what.split(", ") if key != "rebuild")
    assert (kept if ":" in kept else f"mig-k8s:{kept.partition('.')[0]}") in text
    ways = ("do: Set it back; or", "To keep it, write `firstMachine: edge-0`", "do: Set the one that is:")
    assert any(way in text for way in ways)
