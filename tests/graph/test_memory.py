"""What is made remembers what it was made with, and a program that wants another ends before it comes to it."""

from typing import Any

import pulumi
import pytest

from recording import Graph
from stacks import CLUSTER, Program, main_program

_SINGLE = {"strategy": "single"}
_SERVER, _AGENTS = (dict[str, Any](pool) for pool in CLUSTER)


def again(lived: Graph, *, preview: bool = False, **replaced: object) -> Graph:
    """The next run of a stack."""
    sections = {"nodePools": CLUSTER, "mig": _SINGLE, **replaced}
    unmade = () if preview else None
    return main_program("Pulumi.dev.yaml", preview=preview, unmade=unmade, lived=lived, replaced=sections)


@pytest.fixture(scope="module")
def lived(program: Program) -> Graph:
    return program(nodePools=CLUSTER, mig=_SINGLE)


def test_a_machine_that_could_not_be_made_remembers_nothing(lived: Graph) -> None:
    for name in ("server", "gpu", "gpu-1"):
        memory = lived.one(f"{name}-kept")
        assert lived.waits_for(memory, lived.one(f"{name}-vm"))
        assert memory.plain("input", "mig-k8s:nodePools.role") == ("server" if name == "server" else "agent")
    assert lived.waits_for(lived.one("network-kept"), lived.one("mig-k8s-test"))


def test_whatever_is_done_on_a_machine_waits_for_what_it_remembers(lived: Graph) -> None:
    for command in lived.commands():
        server = command.name.startswith(("cluster", "rollout", "verification"))
        machine = "server" if server else command.name.rpartition("-")[0]
        assert lived.waits_for(command, lived.one(f"{machine}-kept")), command.name


def test_everything_in_azure_waits_for_what_the_stack_remembers(lived: Graph) -> None:
    (group,) = lived.of("ResourceGroup")
    assert list(group.request.ignoreChanges) == ["location"]
    for resource in lived.resources:
        if resource.type.startswith("azure-native:") and resource is not group:
            assert lived.waits_for(resource, lived.one("network-kept")) or resource.type.endswith(":Subnet")


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"azure-native:location": "swedencentral"}, "the stack was made with westeurope and keeps that"),
        ({"network": {"subnetCidr": "10.60.8.0/24"}}, "the stack was made with 10.60.0.0/24 and keeps that"),
        ({"rke2": {"cni": "cilium"}}, "server was made with calico and keeps that"),
        ({"nodePools": [_SERVER, {**_AGENTS, "role": "server"}]}, "was made with agent and keeps that"),
    ],
)
def test_what_is_remembered_is_kept_by_preview_and_up(
    lived: Graph, replaced: dict[str, object], said: str, *, preview: bool
) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        again(lived, preview=preview, **replaced)


def test_it_is_remembered_until_the_machine_is_made_anew(lived: Graph) -> None:
    anew = dict.fromkeys(("server", "gpu", "gpu-1"), "2")
    replaced: dict[str, Any] = {"rebuild": anew, "vm": {"adminUsername": "ops"}, "rke2": {"cni": "cilium"}}
    rebuilt = again(lived, **replaced)
    assert rebuilt.one("gpu-kept").request.replacement_trigger.string_value == "2"
    with pytest.raises(pulumi.RunError, match="server was made with cilium and keeps that"):
        again(rebuilt, rebuild=anew, vm=replaced["vm"])


def test_a_machine_that_comes_later_has_its_own_memory(lived: Graph) -> None:
    grown = again(lived, nodePools=[_SERVER, {**_AGENTS, "count": 3}])
    assert grown.one("gpu-2-kept").plain("input") == lived.one("gpu-1-kept").plain("input")
