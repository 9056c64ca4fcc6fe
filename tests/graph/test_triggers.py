"""What makes a command run again is public, known or not; a secret is in it only as a digest made with a key."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from recording import Encrypted, Graph, Registered
from stacks import CLUSTER, RKE2_TOKEN, STACKS, Program
from wire import holds_secret, holds_unknown, leaves, unknown_secrets_in_lists

CLUSTER_OF_THREE = {"nodePools": CLUSTER, "mig": {"strategy": "single"}}
SHAPES = ["Pulumi.dev.yaml", *(f"examples/{name}.yaml" for name in ("cluster", "h100", "operator-owned", "spot"))]
"""One stack file of those with the same resources and commands: a preview knows less of them, whatever they say."""
OTHER_TOKEN = Encrypted("another-token-for-all-7c2e")


def secret_triggers(graph: Graph) -> list[str]:
    return [each.name for each in graph.commands() if holds_secret(each.inputs["triggers"])]


def lost(graph: Graph) -> dict[str, list[str]]:
    """What the provider would lose, by resource."""
    found = {each.name: unknown_secrets_in_lists(each.inputs) for each in graph.resources}
    return {name: paths for name, paths in found.items() if paths}


def unknown_triggers(graph: Graph) -> set[str]:
    return {each.name for each in graph.commands() if holds_unknown(each.inputs["triggers"])}


@pytest.mark.parametrize("path", SHAPES)
def test_in_the_first_preview_of_a_stack_no_trigger_is_secret_and_all_of_it_reaches_the_provider(
    program: Program, path: str
) -> None:
    graph = program(path, preview=True)
    followed = {each.name for each in graph.commands()}
    assert unknown_triggers(graph) == followed, "this is not a first preview"
    assert (secret_triggers(graph), lost(graph)) == ([], {})


@pytest.mark.parametrize("path", STACKS)
def test_with_every_address_known_no_trigger_is_secret_and_all_of_it_reaches_the_provider(
    program: Program, path: str
) -> None:
    graph = program(path)
    assert unknown_triggers(graph) == set()
    assert (secret_triggers(graph), lost(graph)) == ([], {})


@pytest.mark.parametrize("path", SHAPES)
def test_in_the_preview_of_a_living_stack_too(program: Program, path: str) -> None:
    graph = program(path, preview=True, unmade=())
    assert unknown_triggers(graph) == set()
    assert (secret_triggers(graph), lost(graph)) == ([], {})


def test_adding_a_machine_to_a_living_stack_leaves_the_triggers_of_the_others_known(program: Program) -> None:
    graph = program(preview=True, unmade=("gpu-1", "verification-"), **CLUSTER_OF_THREE)
    assert (secret_triggers(graph), lost(graph)) == ([], {})
    of_new = {"gpu-1-release", "gpu-1-converge", "gpu-1-resume", "gpu-1-ready", "gpu-1-mig"}
    assert unknown_triggers(graph) == of_new | {"verification-run"}


@pytest.mark.parametrize(
    ("machine", "others"), [("gpu", set()), ("server", {"cluster-kubeconfig", "cluster-permission", "rollout-limit"})]
)
def test_rebuilding_a_machine_of_a_living_stack_leaves_the_triggers_of_the_others_known(
    program: Program, machine: str, others: set[str]
) -> None:
    """The rebuilt machine keeps its address and loses its identity; what is run anew has no output yet."""
    own = {
        each.name for each in program(**CLUSTER_OF_THREE).commands() if re.fullmatch(rf"{machine}-[a-z]+", each.name)
    }
    unmade = (f"{machine}-vm", *sorted(own), "verification-", *(["cluster-"] if others else []))
    graph = program(preview=True, unmade=unmade, **CLUSTER_OF_THREE)
    assert (secret_triggers(graph), lost(graph)) == ([], {})
    assert unknown_triggers(graph) == own | others | {"verification-run"}
    assert not holds_unknown(graph.one(f"{machine}-converge").inputs["stdin"])


def triggers(graph: Graph) -> dict[str, Any]:
    return {each.name: each.inputs["triggers"] for each in graph.commands()}


def changed(before: Graph, after: Graph) -> set[str]:
    return {name for name, value in triggers(before).items() if triggers(after)[name] != value}


def test_a_changed_token_goes_to_every_machine_of_a_cluster_and_is_proven_again(program: Program) -> None:
    assert changed(program(**CLUSTER_OF_THREE), program(**CLUSTER_OF_THREE, rke2Token=OTHER_TOKEN)) == {
        *(f"{machine}-{step}" for machine in ("server", "gpu", "gpu-1") for step in ("converge", "resume", "ready")),
        "cluster-kubeconfig",
        "verification-run",
    }


def test_a_changed_token_goes_to_a_single_machine_too(program: Program) -> None:
    steps = {each.name for each in program().commands() if each.name.endswith(("-converge", "-resume", "-ready"))}
    assert len(steps) == 3
    changes = changed(program(), program(rke2Token=OTHER_TOKEN))
    assert changes == steps | {"cluster-kubeconfig", "verification-run"}


def test_a_changed_file_goes_to_the_machine_and_is_proven_again(program: Program) -> None:
    before = program(**CLUSTER_OF_THREE)
    after = program(**CLUSTER_OF_THREE, rke2={"tlsSans": ["k8s.example.com"]})
    assert changed(before, after) == {
        "server-converge",
        "server-resume",
        "server-ready",
        "cluster-kubeconfig",
        "verification-run",
    }


def clear_leaves(graph: Graph) -> dict[tuple[str, str], Any]:
    """Everything that stands readable in the inputs of the stack's resources: (resource, path) → value."""
    return {
        (each.name, path): value
        for each in graph.resources
        for path, value, secret, _ in leaves(each.inputs)
        if not secret
    }


def test_nothing_readable_can_be_had_from_the_token_alone(program: Program, tmp_path: Path) -> None:
    """What changes with the token changes with the key too: without the key nobody can try tokens against it."""
    here = clear_leaves(program(**CLUSTER_OF_THREE))
    with_token = clear_leaves(program(**CLUSTER_OF_THREE, rke2Token=OTHER_TOKEN))
    with_key = clear_leaves(program(**CLUSTER_OF_THREE, sshHostKey=Encrypted(_new_host_key(tmp_path))))
    follow_the_token = {place for place, value in here.items() if with_token[place] != value}
    assert follow_the_token, "nothing readable tells that the token has changed"
    assert {place for place in follow_the_token if with_key[place] == here[place]} == set()


def test_no_plain_digest_of_the_token_or_of_what_holds_it_is_readable(program: Program) -> None:
    graph = program(**CLUSTER_OF_THREE)
    pushes = [each.plain("stdin") for each in _pushes(graph)]
    of_machines = [
        line for text in pushes for line in (json.loads(text)["rke2Token"], json.loads(text)["nodePassword"])
    ]
    texts = [RKE2_TOKEN, f"{RKE2_TOKEN}\n", *pushes, *of_machines, *map(str.strip, of_machines)]
    readable = json.dumps([str(value) for value in clear_leaves(graph).values()])
    for text in texts:
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            assert hashlib.new(algorithm, text.encode()).hexdigest() not in readable


def _pushes(graph: Graph) -> list[Registered]:
    pushes = [each for each in graph.commands() if each.name.endswith("-converge")]
    assert {each.name for each in pushes if RKE2_TOKEN in each.plain("stdin")} == {"server-converge"}
    return pushes


def _new_host_key(folder: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return (folder / "key").read_text()
