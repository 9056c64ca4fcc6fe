"""Machines of a cluster are rebuilt, with the real engine: what runs where and in which order. Nothing boots."""

import json
import sys

import pytest
from person import Person
from ssh_server import new_key

pytestmark = pytest.mark.engine
MIG_K8S = "/usr/local/sbin/mig-k8s"
REMOVE, PERMIT, VERIFY = [MIG_K8S, "remove-node"], [MIG_K8S, "permit-founding"], [MIG_K8S, "verify"]
LIMIT = [MIG_K8S, "limit-turns"]
OF_THE_CLUSTER = (REMOVE, LIMIT, VERIFY)
"""What concerns no machine but the cluster runs on whichever server the load balancer leads to."""
SMALL = {"vmSize": "Standard_D4s_v5"}
SERVERS = {"name": "server", "count": 3, **SMALL}
AGENT = {"name": "work", "role": "agent", **SMALL}


def runs(person: Person) -> dict[str, list[list[str]]]:
    """What was run on each machine; `update` without the addresses that it can join by."""
    found = {name: person.commands(vm_id) for name, vm_id in person.machines().items()}
    return {
        name: [each[:2] if each[0] == MIG_K8S else each[:1] for each in commands] for name, commands in found.items()
    }


def updates(person: Person, machine: str) -> list[list[str]]:
    commands = person.commands(person.machines()[machine])
    return [each[2:] for each in commands if each[:2] == [MIG_K8S, "update"]]


def first_keys(person: Person) -> dict[str, str]:
    """The administrator's key of each machine, as Azure has it."""
    found = {
        key.rsplit("/", 1)[1]: each["inputs"] for key, each in person.azure().items() if "/virtualMachines/" in key
    }
    return {
        name: machine["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"]
        for name, machine in found.items()
    }


def another_ssh_key_makes_no_machine_anew(person: Person) -> None:
    """Azure keeps the one that a machine was made with; one that is rebuilt meanwhile is made with the new one."""
    there, known = person.machines(), first_keys(person)
    private = new_key(person.checkout.parent, "second")
    old, other = known["work"], private.with_suffix(".pub").read_text().strip()
    person.edit(ssh={"publicKey": old, "otherPublicKeys": [other]})
    person.up()
    person.run("sh", "-c", f"pulumi config set --stack prod --secret mig-k8s:sshPrivateKey < {private}")
    again = {"server": "2", "server-2": "2", "work": "2"}
    person.edit(ssh={"publicKey": other, "otherPublicKeys": [old]}, rebuild=again)
    person.up()
    assert {name for name, vm_id in person.machines().items() if vm_id != there[name]} == {"work"}
    assert first_keys(person) == {**known, "work": other}


def new(before: list[list[str]], after: list[list[str]]) -> list[list[str]]:
    """What of ours was run on a machine since then."""
    assert after[: len(before)] == before
    return [each for each in after[len(before) :] if each[0] == MIG_K8S]


@pytest.mark.timeout(900)
def test_servers_are_rebuilt_one_after_the_other_and_the_cluster_goes_on(person: Person) -> None:
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    person.link_environment()
    person.edit(nodePools=[SERVERS, AGENT], mig={"strategy": "none"})
    person.up()
    machines, before = person.machines(), runs(person)
    assert {name for name, commands in before.items() if PERMIT in commands} == {"server"}
    assert person.removals() == []
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
    assert PERMIT not in after["server"], "it may found a second cluster"
    assert updates(person, "server") == [others]
    assert [each["node"] for each in person.removals()] == ["server", "server-2"]
    stayed = {name: new(before[name], after[name]) for name in ("server-1", "work")}
    assert [each for each in stayed["server-1"] if each not in OF_THE_CLUSTER] == []
    assert stayed["work"] == []
    first = after["server"]
    # Which server of them verifies is the load balancer's choice; it does so once, when the last one is back.
    verified = {name: new([] if name in ("server", "server-2") else before[name], after[name]) for name in after}
    assert [commands.count(VERIFY) for commands in verified.values()].count(1) == 1
    assert [commands[-1] for commands in verified.values() if VERIFY in commands] == [VERIFY]
    assert first.index([MIG_K8S, "update"]) < first.index([MIG_K8S, "ready"])
    assert "server" in person.removals()[1]["there"], "the first one is back"
    # It is the same cluster: what is installed in it stays.
    assert sum(person.releases(vm_id) for vm_id in {*machines.values(), *again.values()}) == 1
    person.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    # A pool that comes to stand first founds nothing, and touches nobody.
    before = runs(person)
    person.edit(nodePools=[{"name": "front", "count": 2, **SMALL}, SERVERS, AGENT])
    person.up()
    assert [name for name, commands in runs(person).items() if PERMIT in commands] == []
    for name in ("server-1", "server-2", "work"):
        assert [each for each in new(before[name], runs(person)[name]) if each not in OF_THE_CLUSTER] == []

    another_ssh_key_makes_no_machine_anew(person)

    # Back to one in the middle.
    person.edit(nodePools=[{**SERVERS, "count": 1}], rebuild={"server": "2"})
    person.up()
    assert set(person.machines()) == {"server"}
    left = person.removals()[3:]
    assert [each["node"] for each in left] == ["work", "server-2", "server-1", "front-1", "front"]
    # The machine of the one before is gone by then: the load balancer may not lead to it.
    assert [[name for name in each["there"] if name != "work"] for each in left[1:]] == [
        ["front", "front-1", "server", "server-1", "server-2"],
        ["front", "front-1", "server", "server-1"],
        ["front", "front-1", "server"],
        ["front", "server"],
    ]
    assert [resource for resource in person.azure() if "/loadBalancers/" in resource] == []

    person.pulumi("destroy", "--yes", "--skip-preview")
    assert person.machines() == {}
    assert json.loads(person.pulumi("stack", "export"))["deployment"].get("resources", []) == []
