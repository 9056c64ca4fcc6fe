"""What is declared for the time when a machine is removed from the stack file."""

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
        "comesBack": False,
    }
    assert removal.plain("connection", "host") == graph.one("server-converge").plain("connection", "host")


def test_while_a_machine_stays_nobody_is_dialled_for_its_removal(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    inputs = {"connection", "delete", "stdin", "logging", "addPreviousOutputInEnv"}
    assert set(graph.one("gpu-1-removal").inputs) == inputs
    assert set(graph.one("gpu-1-rebuild").inputs) == inputs | {"triggers"}


def test_its_vm_goes_after_its_node_because_the_removal_depends_on_it(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    assert graph.waits_for(graph.one("gpu-1-removal"), graph.one("gpu-1-vm"))
    assert not graph.waits_for(graph.one("gpu-1-removal"), graph.one("gpu-vm"))


def test_destroying_the_whole_stack_drains_nobody(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    group = graph.one("mig-k8s-test")
    assert graph.one("gpu-1-removal").request.deletedWith == group.urn
    assert not graph.one("gpu-1-removal").request.retainOnDelete


def test_destroying_the_whole_stack_deletes_its_group_and_azure_everything_in_it_at_once(program: Program) -> None:
    graph = program(nodePools=SERVERS, mig={"strategy": "single"}, vm={"autoShutdown": {"time": "1900"}})
    group = graph.one("mig-k8s-test")
    in_azure = [each for each in graph.resources if each.type.startswith("azure-native:") and each != group]
    assert len(in_azure) == 3 + 4 * 4 + 2, "network; address, interface, machine, schedule of each; load balancer"
    assert {each.name for each in in_azure if each.request.deletedWith != group.urn} == set()


def test_an_only_server_asks_itself(program: Program) -> None:
    lone = program()
    host = lone.one("mlops-k8s-master-converge").plain("connection", "host")
    assert lone.one("mlops-k8s-master-removal").plain("connection", "host") == host


def test_of_three_servers_whoever_lives_is_asked_when_a_machine_leaves(program: Program) -> None:
    """The command is written down an `up` before, when nobody knows which of them will stay."""
    graph = program(nodePools=SERVERS, mig={"strategy": "single"})
    own = set(graph.exports["addresses"].value.values())
    commands = [graph.one(f"{name}-{way}") for name in ("server", "server-2", "gpu") for way in ("removal", "rebuild")]
    (address,) = {command.plain("connection", "host") for command in commands}
    assert address == graph.one("cluster-kubeconfig").plain("connection", "host")
    assert address not in own
    for command in commands:
        assert graph.waits_for(command, graph.one("api-lb")), "the load balancer would go before"


def test_more_servers_or_another_first_one_changes_nothing_of_how_the_others_leave(program: Program) -> None:
    other = {"name": "other", "role": "server", "count": 2, "vmSize": "Standard_D4s_v5"}
    before = program(nodePools=SERVERS, mig={"strategy": "single"})
    for pools in ([*SERVERS, other], [other, *SERVERS]):
        after = program(nodePools=pools, mig={"strategy": "single"})
        for name in ("server", "server-2", "gpu"):
            for way in ("removal", "rebuild"):
                assert after.one(f"{name}-{way}").plain() == before.one(f"{name}-{way}").plain()


def test_servers_leave_one_after_the_other_each_when_the_machine_of_the_one_before_is_gone(program: Program) -> None:
    """What depends on something is deleted before it. By the servers' address one that has left is reached too."""
    graph = program(nodePools=SERVERS, mig={"strategy": "single"})
    for stays, leaves in (("server", "server-1"), ("server", "server-2"), ("server-1", "server-2")):
        named = graph.one(f"{leaves}-vm").request.dependencies
        assert graph.one(f"{stays}-removal").urn in named, "also where the one between them stays"
        assert graph.waits_for(graph.one(f"{leaves}-removal"), graph.one(f"{leaves}-vm"))
    for name in ("server-1", "server-2", "gpu"):
        assert not graph.waits_for(graph.one(f"{name}-vm"), graph.one("server-converge")), "it boots beside that"
    assert graph.waits_for(graph.one("gpu-removal"), graph.one("server-2-removal")), "agents leave before servers"
    assert not graph.waits_for(graph.one("gpu-vm"), graph.one("server-removal")), "but boot beside them"


def test_a_machine_that_stays_keeps_its_removal_when_the_other_servers_go(program: Program) -> None:
    """Else the engine would run it, on a machine that is alive."""
    three = {each.name for each in program(nodePools=SERVERS, mig={"strategy": "single"}).of("NodeRemoval")}
    one = {each.name for each in program(nodePools=[{**SERVERS[0], "count": 1}]).of("NodeRemoval")}
    assert three == {"server", "server-1", "server-2", "gpu"}
    assert one == {"server"}


def test_the_namespace_of_the_operator_is_the_stacks(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"}, gpuOperator={"namespace": "nvidia"})
    assert json.loads(graph.one("gpu-removal").plain("stdin"))["namespaces"] == ["kube-system", "nvidia"]


def test_a_rebuilt_machine_leaves_by_a_command_that_goes_before_its_vm_and_joins_after_it(program: Program) -> None:
    graph = program(nodePools=SERVERS, mig={"strategy": "single", "onChange": "drain"})
    leaves = graph.one("server-rebuild")
    assert leaves.plain("triggers") == ["vm_id of server-vm"]
    assert leaves.request.deleteBeforeReplace
    assert not leaves.request.retainOnDelete
    assert leaves.request.deletedWith == graph.one("server-removal").urn
    assert leaves.plain("delete") == "sudo timeout -k 10 3600 /usr/local/sbin/mig-k8s remove-node"
    assert json.loads(leaves.plain("stdin"))["comesBack"] is True
    assert graph.waits_for(graph.one("server-converge"), leaves)


def test_where_the_cluster_may_be_lost_its_only_server_asks_nobody_and_the_others_do(program: Program) -> None:
    """It may be dead."""
    pools = [{**SERVERS[0], "count": 1}, SERVERS[1]]
    lone = program(nodePools=pools, mig={"strategy": "single"}, clusterMayBeLost=True)
    assert "delete" not in lone.one("server-rebuild").inputs
    assert "delete" in lone.one("server-removal").inputs
    assert "delete" in lone.one("gpu-rebuild").inputs
    three = program(nodePools=SERVERS, mig={"strategy": "single"}, clusterMayBeLost=True)
    assert "delete" in three.one("server-rebuild").inputs


def test_machines_that_are_rebuilt_wait_for_each_other_and_for_nobody_else(program: Program) -> None:
    texts = {"gpu": "2", "server-2": "2", "server": "2"}
    graph = program(nodePools=SERVERS, mig={"strategy": "single"}, rebuild=texts)
    for earlier, later in (("server", "server-2"), ("server-2", "gpu")):
        assert graph.waits_for(graph.one(f"{later}-vm"), graph.one(f"{earlier}-ready"))
    for name in ("server-1", "server"):
        waited_for = {each.name for each in graph.commands() if graph.waits_for(graph.one(f"{name}-vm"), each)}
        assert waited_for <= {"server-removal"}, "which runs nothing as long as the machine stays"


def test_a_protected_machine_and_its_removal_are_the_engines_to_refuse_and_a_lost_machine_comes_back(
    program: Program,
) -> None:
    """What ends the Node of a lost machine goes by itself, when another machine is made."""
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"}, vm={"protect": True})
    protected = {each.name for each in graph.resources if each.request.protect}
    machines = ("server", "gpu", "gpu-1")
    assert protected == {f"{name}-{part}" for name in machines for part in ("vm", "removal")}
    assert not [
        each for each in program(nodePools=CLUSTER, mig={"strategy": "single"}).resources if each.request.protect
    ]
