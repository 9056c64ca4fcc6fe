"""A stack that an older version made meets this one: names from 0, addresses that were given. Nothing boots."""

import json
import sys
from typing import Any

import pytest
from person import Person

pytestmark = pytest.mark.engine
NIC = "azure-native:network:NetworkInterface"
SERVER = {"name": "control", "vmSize": "Standard_D4s_v5"}
AGENTS = {"name": "gpu", "role": "agent", "vmSize": "Standard_D4s_v5", "count": 2}
KEPT = [SERVER, {**AGENTS, "firstMachine": "gpu-0"}]


def give_static_addresses(person: Person) -> dict[str, str]:
    """Make state and cloud what an older version left: every interface was given the address that it has."""
    given: dict[str, str] = {}

    def static(settings: list[dict[str, Any]], address: str) -> None:
        settings[0] |= {"privateIPAddress": address, "privateIPAllocationMethod": "Static"}

    state = json.loads(person.pulumi("stack", "export"))
    for resource in state["deployment"]["resources"]:
        if resource["type"] == NIC:
            address = resource["outputs"]["ipConfigurations"][0]["privateIPAddress"]
            for properties in (resource["inputs"], resource["outputs"]):
                static(properties["ipConfigurations"], address)
            given[resource["id"]] = address
    file = person.environment.root / "older.json"
    file.write_text(json.dumps(state))
    person.pulumi("stack", "import", "--file", str(file))
    cloud = person.environment.root / "azure.json"
    records = json.loads(cloud.read_text())
    for identifier, address in given.items():
        for properties in (records[identifier]["inputs"], records[identifier]["outputs"]):
            static(properties["ipConfigurations"], address)
    cloud.write_text(json.dumps(records))
    return given


def interfaces(person: Person) -> dict[str, str]:
    """Interface → its private address, in Azure."""
    records = person.azure()
    return {
        identifier: record["outputs"]["ipConfigurations"][0]["privateIPAddress"]
        for identifier, record in records.items()
        if record["kind"] == "network:NetworkInterface"
    }


def refused_up(person: Person) -> str:
    return person.refused("up", "--yes", "--skip-preview")


@pytest.mark.timeout(900)
def test_a_stack_of_an_older_version_is_kept_or_refused_and_never_replaced(person: Person) -> None:
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    person.link_environment()
    person.edit(nodePools=KEPT, mig={"strategy": "none"})
    person.up()
    given = give_static_addresses(person)
    assert sorted(given.values()) == ["10.60.0.4", "10.60.0.5", "10.60.0.6"]
    before = person.machines()
    assert sorted(before) == ["control", "gpu-0", "gpu-1"]

    # The names are written down: nothing at all happens.
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    # They are not: the program ends with what to write. It was run without a look at the preview.
    person.edit(nodePools=[SERVER, AGENTS])
    said = " ".join(refused_up(person).split())
    assert "the first machine of pool gpu is called gpu-0 in Azure, and gpu by the stack file" in said
    assert "write `firstMachine: gpu-0` in pool gpu" in said
    assert (person.machines(), interfaces(person)) == (before, given)

    # Written down afterwards, it is as if nothing had been, but for components that had no child yet.
    person.edit(nodePools=KEPT)
    left = {name for operation, names in person.preview().items() if operation != "same" for name in names}
    assert {name.partition(":")[0] for name in left} <= {"mig-k8s"}
    person.up()
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    # What grows beside them has an address that Azure chooses, and nobody else notices.
    person.edit(nodePools=[SERVER, {**AGENTS, "name": "edge", "count": 1}, KEPT[1]])
    planned = person.preview()
    touched = {name for operation, names in planned.items() if operation != "same" for name in names}
    assert {name.partition(" ")[2].partition("-")[0] for name in touched} <= {"edge", "verification", "mig"}
    person.up()
    now = interfaces(person)
    assert {identifier: now[identifier] for identifier in given} == given
    assert sorted(now.values()) == ["10.60.0.4", "10.60.0.5", "10.60.0.6", "10.60.0.7"]
    assert person.machines().items() >= before.items()
