"""Machines of a cluster are rebuilt, with the real engine: what runs where and in which order. Nothing boots."""

import json
import sys

import pytest
from install_step import install
from person import Person

pytestmark = pytest.mark.engine
MIG_K8S = "/usr/local/sbin/mig-k8s"
REMOVE, PERMIT = [MIG_K8S, "remove-node"], [MIG_K8S, "permit-founding"]
SMALL = {"vmSize": "Standard_D4s_v5"}
SERVERS = {"name": "server", "count": 3, **SMALL}
AGENT = {"name": "work", "role": "agent", **SMALL}


def runs(person: Person) -> dict[str, list[list[str]]]:
    """By machine, what was run on it; `update` without the addresses that it can join by."""
    found = {name: person.commands(vm_id) for name, vm_id in person.machines().items()}
    return {
        name: [each[:2] if each[0] == MIG_K8S else each[:1] for each in commands] for name, commands in found.items()
    }


def updates(person: Person, machine: str) -> list[list[str]]:
    commands = person.commands(person.machines()[machine])
    return [each[2:] for each in commands if each[:2] == [MIG_K8S, "update"]]


@pytest.mark.timeout(900)
def test_servers_are_rebuilt_one_after_the_other_and_the_cluster_goes_on(person: Person) -> None:
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    install(person.checkout)
    person.edit(nodePools=[SERVERS, AGENT], mig={"strategy": "none"})
    person.up()
    machines, before = person.machines(), runs(person)
    assert {name for name, commands in before.items() if PERMIT in commands} == {"server"}
    assert not any(REMOVE in commands for commands in before.values())
    own = person.output("privateAddresses")
    others = ["--join", own["server-1"], "--join", own["server-2"]]
    assert updates(person, "server") == [others]
    assert updates(person, "work") == [["--join", own["server"], *others]]
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    # The first server and another one.
    person.edit(rebuild={"server": "2", "server-2": "2"})
    person.up()
    after, again = runs(person), person.machines()
    assert {name for name in machines if machines[name] != again[name]} == {"server", "server-2"}
    assert after["server"][-1] != REMOVE
    assert PERMIT not in after["server"], "it may found a second cluster"
    assert updates(person, "server") == [others]
    # The first leaves by the second; the third by the first, which is back by then and has its whole software.
    new = {name: after[name][len(before[name]) :] for name in ("server-1", "work")}
    assert [each for each in new["server-1"] if each[0] == MIG_K8S] == [REMOVE]
    assert [each for each in new["work"] if each[0] == MIG_K8S] == []
    first = after["server"]
    assert first.count(REMOVE) == 1
    assert first.index([MIG_K8S, "update"]) < first.index([MIG_K8S, "ready"]) < first.index(REMOVE)
    assert REMOVE not in after["server-2"]
    # It is the same cluster: what is installed in it stays.
    (founder,) = {name for name, vm_id in machines.items() if person.releases(vm_id)}
    assert (founder, person.releases(machines["server"])) == ("server", 1)
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    # A pool that comes to stand first founds nothing, and touches nobody.
    before = runs(person)
    person.edit(nodePools=[{"name": "front", "count": 2, **SMALL}, SERVERS, AGENT])
    person.up()
    assert [name for name, commands in runs(person).items() if PERMIT in commands] == []
    for name in ("server-1", "server-2", "work"):
        assert runs(person)[name] == before[name]

    person.pulumi("destroy", "--yes", "--skip-preview")
    assert person.machines() == {}
    assert json.loads(person.pulumi("stack", "export"))["deployment"].get("resources", []) == []
