"""Whether machines run: what the program asks Azure, and what it makes of the answer."""

import json
from typing import Any

import pulumi
import pulumi_azure_native as azure
import pytest

from components.power import away
from recording import Graph, run_program
from stacks import CLUSTER, Program


def graph_of(*codes: str) -> Graph:
    """A program with one virtual machine `m`, of which Azure says these things."""

    def program() -> None:
        vm = azure.compute.VirtualMachine("m", vm_name="m", resource_group_name="rg")
        pulumi.export("away", away(vm, "rg").apply(lambda seen: seen and [seen.seen, seen.remedy]))

    return run_program(program, statuses={"m": codes})


@pytest.mark.parametrize("power", ["deallocated", "deallocating", "stopped", "stopping"])
def test_a_machine_that_azure_does_not_run_is_away(power: str) -> None:
    seen, remedy = graph_of("ProvisioningState/succeeded", f"PowerState/{power}").exports["away"].value
    assert seen == power
    assert remedy == "`az vm start --resource-group rg --name m`, then `pulumi up` does what waits."


@pytest.mark.parametrize(
    "codes", [["ProvisioningState/creating"], ["PowerState/starting"], ["PowerState/running"], ["PowerState/unknown"]]
)
def test_a_machine_that_runs_or_begins_to_is_not(codes: list[str]) -> None:
    assert graph_of(*codes).exports["away"].value is None


def test_a_machine_that_azure_does_not_know_is_gone() -> None:
    seen, remedy = graph_of("Status=404 ResourceNotFound").exports["away"].value
    assert seen == "gone"
    assert remedy.endswith("`pulumi refresh`, then `pulumi up` makes it anew, with an empty disk.")


def test_a_machine_of_which_azure_tells_nothing_is_taken_to_run() -> None:
    assert graph_of("Status=429 TooManyRequests").exports["away"].value is None


@pytest.mark.parametrize(("verify", "machine"), [(True, "server"), (False, "server"), (False, "gpu")])
def test_the_program_fails_for_a_machine_that_is_away_where_no_verification_can(
    program: Program, verify: bool, machine: str
) -> None:
    stack = {"nodePools": CLUSTER, "mig": {"strategy": "single"}, "verify": {"enabled": verify}}
    with pytest.raises(pulumi.RunError, match=rf"could be done:\n  {machine} is stopped in Azure. `az vm start "):
        program(**stack, statuses={machine: ["PowerState/stopped"]})
    program(**stack, preview=True, unmade=(), statuses={machine: ["PowerState/stopped"]})


def left(graph: Graph) -> set[str]:
    """What the engine is told to leave as the state has it."""
    return {each.name for each in graph.resources if "*" in each.request.ignoreChanges}


@pytest.mark.parametrize("mig", [{"strategy": "mixed"}, {"strategy": "mixed", "owner": "operator"}])
def test_every_command_and_what_is_put_into_the_cluster_is_left_while_the_only_machine_is_away(
    program: Program, mig: dict[str, str]
) -> None:
    graph = program(mig=mig, preview=True, unmade=(), statuses={"mlops-k8s-master": ["PowerState/deallocated"]})
    in_cluster = {"gpu-operator-namespace", "gpu-operator-release"}
    assert left(graph) == {each.name for each in graph.commands()} | in_cluster
    assert left(program(mig=mig)) == set()


def test_of_an_agent_that_is_away_only_its_own_commands_are_left(program: Program) -> None:
    stack = {"nodePools": CLUSTER, "mig": {"strategy": "single"}, "preview": True, "unmade": ()}
    graph = program(**stack, statuses={"gpu-1": ["PowerState/deallocated"]})
    assert left(graph) == {each.name for each in graph.commands() if each.name.startswith("gpu-1-")}


def test_a_command_that_is_left_is_not_dialled_for_long_and_any_other_is(program: Program) -> None:
    stack = {"nodePools": CLUSTER, "mig": {"strategy": "single"}, "preview": True, "unmade": ()}
    graph = program(**stack, statuses={"gpu-1": ["PowerState/deallocated"]})

    def dialled(name: str) -> tuple[float, float]:
        connection = graph.one(name).plain("connection")
        return connection["dialErrorLimit"], connection["perDialTimeout"]

    assert dialled("gpu-1-converge") == (1, 5)
    assert dialled("gpu-converge") == (18, 60)


def test_the_program_asks_the_engine_for_no_callback(program: Program) -> None:
    """The SDK's server for them ends some programs that fail with a segmentation fault, and their reason is lost."""
    for each in program(nodePools=CLUSTER, mig={"strategy": "single"}).resources:
        assert not each.request.transforms, each.name
        assert not each.request.hooks.ListFields(), each.name
        assert not each.request.state_migrations, each.name


def test_nobody_is_asked_about_a_machine_that_is_not_there_yet(program: Program) -> None:
    graph = program(preview=True, nodePools=CLUSTER, mig={"strategy": "single"})
    assert graph.asked == []
    assert sorted(program(nodePools=CLUSTER, mig={"strategy": "single"}).asked) == ["gpu", "gpu-1", "server"]


def test_the_verification_is_told_who_is_away(program: Program) -> None:
    def told(**statuses: list[str]) -> list[Any]:
        graph = program(nodePools=CLUSTER, mig={"strategy": "single"}, statuses=statuses)
        return [node["away"] for node in json.loads(graph.one("verification-run").plain("stdin"))["nodes"]]

    assert told() == [None, None, None]
    (server, gpu, other) = told(gpu=["PowerState/deallocated"])
    assert (server, gpu["seen"], other) == (None, "deallocated", None)
