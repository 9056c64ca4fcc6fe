"""What is declared for the day on which a machine goes from the stack file."""

import json

from stacks import CLUSTER, Program

SERVERS = [
    {"name": "server", "role": "server", "count": 3, "vmSize": "Standard_D4s_v5"},
    {"name": "gpu", "role": "agent"},
]


def test_a_machine_leaves_by_a_command_on_a_server_that_stays(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single", "onChange": "drain"})
    removal = graph.one("gpu-1-removal")
    assert removal.plain("delete") == "sudo timeout -k 10 3600 /usr/local/sbin/mig-k8s remove-node"
    assert json.loads(removal.plain("stdin")) == {
        "version": 1,
        "node": "gpu-1",
        "onChange": "drain",
        "namespaces": ["kube-system", "gpu-operator"],
    }
    assert removal.plain("connection", "host") == graph.one("server-converge").plain("connection", "host")


def test_while_a_machine_stays_nobody_is_dialled_for_its_removal(program: Program) -> None:
    removal = program(nodePools=CLUSTER, mig={"strategy": "single"}).one("gpu-1-removal")
    assert set(removal.inputs) == {"connection", "delete", "stdin", "logging", "addPreviousOutputInEnv"}


def test_its_vm_goes_after_its_node_because_the_removal_depends_on_it(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    assert graph.waits_for(graph.one("gpu-1-removal"), graph.one("gpu-1-vm"))
    assert not graph.waits_for(graph.one("gpu-1-removal"), graph.one("gpu-vm"))


def test_destroying_the_whole_stack_drains_nobody(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    group = graph.one("mig-k8s-test")
    assert graph.one("gpu-1-removal").request.deletedWith == group.urn
    assert not graph.one("gpu-1-removal").request.retainOnDelete


def test_the_first_of_several_servers_leaves_by_another_and_an_only_server_asks_itself(program: Program) -> None:
    graph = program(nodePools=SERVERS, mig={"strategy": "single"})
    names = ("server", "server-1", "server-2")
    first, second, third = (graph.one(f"{name}-converge").plain("connection", "host") for name in names)
    hosts = {name: graph.one(f"{name}-removal").plain("connection", "host") for name in ("server", "server-2", "gpu")}
    assert hosts == {"server": second, "server-2": first, "gpu": first}
    assert third not in hosts.values()
    lone = program()
    host = lone.one("mlops-k8s-master-converge").plain("connection", "host")
    assert lone.one("mlops-k8s-master-removal").plain("connection", "host") == host


def test_a_machine_that_stays_keeps_its_removal_when_the_other_servers_go(program: Program) -> None:
    """Else the engine would run it, on a machine that is alive."""
    three = {each.name for each in program(nodePools=SERVERS, mig={"strategy": "single"}).of("NodeRemoval")}
    one = {each.name for each in program(nodePools=[{**SERVERS[0], "count": 1}]).of("NodeRemoval")}
    assert three == {"server", "server-1", "server-2", "gpu"}
    assert one == {"server"}


def test_the_namespace_of_the_operator_is_the_stacks(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"}, gpuOperator={"namespace": "nvidia"})
    assert json.loads(graph.one("gpu-removal").plain("stdin"))["namespaces"] == ["kube-system", "nvidia"]
