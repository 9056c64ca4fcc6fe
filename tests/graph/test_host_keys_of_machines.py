"""Which host key every connection is checked against: a machine's own, or that of all servers at their one address; and
how a stack gets them."""

import base64
import gzip
import json
from typing import Any

import pulumi
import pytest
import yaml

from plan import HostKey, HostKeys
from recording import Encrypted, Graph
from stacks import HOST_PRIVATE_KEY, HOST_PUBLIC_KEY, Program
from wire import leaves

A, B = f"a:{'0123456789abcdef' * 4}", f"b:{'fedcba9876543210' * 4}"
OF_A = HostKeys(None, A)
MACHINES = ("server", "server-1", "server-2", "gpu")
GPU = {"name": "gpu", "role": "agent", "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
STACK = {
    "nodePools": [{"name": "server", "role": "server", "vmSize": "Standard_D4s_v5", "count": 3}, GPU],
    "mig": {"strategy": "single"},
}


def run(program: Program, **secrets: str | None) -> Graph:
    """The stack with these secrets of host keys; `sshHostKey` is there unless it is None."""
    return program(**STACK, **{key: text and Encrypted(text) for key, text in secrets.items()})


def held_to(graph: Graph) -> dict[str, set[str]]:
    """The host keys that commands at each address are checked against, also those that run when a machine goes."""
    found: dict[str, set[str]] = {}
    for each in graph.of("Command"):
        connection = each.plain("connection")
        found.setdefault(connection["host"], set()).add(connection["hostKey"])
    return found


def sent(graph: Graph, machine: str) -> list[str]:
    """The private host keys in what a machine is told."""
    return list(json.loads(graph.one(f"{machine}-converge").plain("stdin"))["hostKeys"])


def test_each_machine_is_held_to_its_own_and_whichever_server_answers_to_that_of_all(program: Program) -> None:
    graph = run(program, sshHostKey=None, sshHostSecret=A)
    addresses = graph.exports["addresses"].value
    own = {addresses[name]: {OF_A.own(name).public} for name in MACHINES}
    found = held_to(graph)
    (balanced,) = set(found) - set(own)
    assert found == {**own, balanced: {OF_A.of_servers().public}}
    assert graph.exports["knownHosts"].value == {
        name: f"{addresses[name]} {OF_A.own(name).public}" for name in MACHINES
    }


def test_a_machine_is_made_with_its_own_and_is_told_of_no_others(program: Program) -> None:
    graph = run(program, sshHostKey=None, sshHostSecret=A)
    user_data = yaml.safe_load(gzip.decompress(base64.b64decode(graph.one("gpu-vm").plain("osProfile", "customData"))))
    assert user_data["ssh_keys"] == {"ecdsa_private": OF_A.own("gpu").private, "ecdsa_public": OF_A.own("gpu").public}
    assert sent(graph, "gpu") == [OF_A.own("gpu").private]
    assert sent(graph, "server-1") == [OF_A.own("server-1").private, OF_A.of_servers().private]


def test_a_single_server_is_held_to_its_own_by_the_others_too(program: Program) -> None:
    graph = program(sshHostKey=None, sshHostSecret=Encrypted(B))
    assert list(held_to(graph).values()) == [{HostKeys(None, B).own("mlops-k8s-master").public}]


def test_a_stack_of_before_is_held_to_its_one_key_and_machines_are_told_nothing(program: Program) -> None:
    graph = run(program)
    assert set().union(*held_to(graph).values()) == {HOST_PUBLIC_KEY}
    assert [sent(graph, name) for name in MACHINES] == [[]] * 4


def test_the_other_secrets_keys_are_shown_while_every_connection_is_held_to_the_old_one(program: Program) -> None:
    before, after = run(program), run(program, sshOtherHostSecret=A)
    assert held_to(after) == held_to(before)
    shared = HostKey.given(HOST_PRIVATE_KEY)
    assert sent(after, "gpu") == [shared.private, OF_A.own("gpu").private]
    assert after.exports["knownHosts"].value["gpu"].splitlines() == [
        f"{after.exports['addresses'].value['gpu']} {key}" for key in (HOST_PUBLIC_KEY, OF_A.own("gpu").public)
    ]
    triggers = [graph.one("gpu-converge").plain("triggers") for graph in (before, after)]
    assert triggers[0] != triggers[1], "nothing would bring them to the machine"


@pytest.mark.parametrize(
    ("secrets", "key", "words"),
    [
        ({"sshHostKey": None, "sshHostSecret": A[2:]}, "sshHostSecret", "it must be a: or b:"),
        ({"sshOtherHostSecret": B}, "sshOtherHostSecret", "keys of one kind"),
        ({"sshHostKey": None, "sshHostSecret": A, "sshOtherHostSecret": A}, "sshHostSecret", "keys of one kind"),
    ],
)
def test_secrets_that_no_machine_could_show_together_are_refused_and_not_shown(
    program: Program, secrets: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(pulumi.RunError, match=f"mig-k8s:{key}: ") as refused:
        run(program, **secrets)
    assert words in str(refused.value)
    assert "0123456789" not in str(refused.value)


def test_no_private_host_key_stands_readable_anywhere(program: Program) -> None:
    graph = run(program, sshHostKey=None, sshHostSecret=A, sshOtherHostSecret=B)
    clear = [value for each in graph.resources for _, value, secret, _ in leaves(each.inputs) if not secret]
    readable = "\n".join(str(value) for value in clear)
    assert "Standard_D4s_v5" in readable
    for name in MACHINES:
        for key in OF_A.shown(name, is_server=name != "gpu"):
            assert key.private.splitlines()[1] not in readable
    assert "customData" not in {
        path for each in graph.resources for path, _, secret, _ in leaves(each.inputs) if not secret
    }
