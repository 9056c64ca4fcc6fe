"""The order in which resources are made: which waits for which."""

import itertools

from stacks import CLUSTER, Program

NAME = "mlops-k8s-master"


def test_one_machine_goes_through_its_stations_in_order(program: Program) -> None:
    graph = program()
    stations = [
        f"{NAME}-vm",
        f"{NAME}-release",
        f"{NAME}-converge",
        f"{NAME}-resume",
        f"{NAME}-ready",
        f"{NAME}-mig",
        "gpu-operator-release",
        "verification-run",
    ]
    for earlier, later in itertools.pairwise(stations):
        assert graph.waits_for(graph.one(later), graph.one(earlier)), f"{later} does not wait for {earlier}"
        assert not graph.waits_for(graph.one(earlier), graph.one(later))


def test_mig_manager_changes_nothing_while_a_machine_changes(program: Program) -> None:
    graph = program(mig={"strategy": "mixed", "owner": "operator"})
    stations = [
        f"{NAME}-vm",
        f"{NAME}-release",
        f"{NAME}-free",
        f"{NAME}-converge",
        f"{NAME}-ready",
        "gpu-operator-release",
        f"{NAME}-label",
        "verification-run",
    ]
    for earlier, later in itertools.pairwise(stations):
        assert graph.waits_for(graph.one(later), graph.one(earlier)), f"{later} does not wait for {earlier}"
        assert not graph.waits_for(graph.one(earlier), graph.one(later))


def test_the_kubeconfig_is_read_when_the_machine_is_ready(program: Program) -> None:
    graph = program()
    assert graph.waits_for(graph.one("cluster-kubeconfig"), graph.one(f"{NAME}-ready"))
    assert graph.waits_for(graph.one("gpu-operator-namespace"), graph.one("cluster-kubeconfig"))


def test_machines_join_when_the_first_server_is_ready_and_not_one_after_the_other(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    for name in ("gpu", "gpu-1"):
        assert graph.waits_for(graph.one(f"{name}-converge"), graph.one("server-ready"))
        assert not graph.waits_for(graph.one(f"{name}-vm"), graph.one("server-ready")), "machines boot side by side"
        assert not graph.waits_for(graph.one(f"{name}-release"), graph.one("server-vm")), "a release needs nobody"
        assert not graph.waits_for(graph.one(f"{name}-vm"), graph.one("server-vm")), "agents boot beside servers"
    assert not graph.waits_for(graph.one("gpu-1-converge"), graph.one("gpu-ready"))
    assert not graph.waits_for(graph.one("server-converge"), graph.one("gpu-vm"))


def test_servers_go_one_after_the_other_and_agents_after_all_of_them(program: Program) -> None:
    """So that two servers never restart at once, and no kubelet is newer than an API server."""
    pools = [
        {"name": "server", "vmSize": "Standard_D8s_v5"},
        {"name": "gpu", "role": "agent", "count": 2},
        {"name": "more", "vmSize": "Standard_D8s_v5", "count": 2},
    ]
    graph = program(nodePools=pools)
    for earlier, later in itertools.pairwise(["server", "more", "more-1"]):
        assert graph.waits_for(graph.one(f"{later}-converge"), graph.one(f"{earlier}-ready"))
        assert not graph.waits_for(graph.one(f"{later}-vm"), graph.one(f"{earlier}-release")), "it boots beside that"
    for agent in ("gpu", "gpu-1"):
        assert graph.waits_for(graph.one(f"{agent}-converge"), graph.one("more-1-ready"))
        assert not graph.waits_for(graph.one(f"{agent}-release"), graph.one("more-1-vm"))
    assert not graph.waits_for(graph.one("gpu-1-converge"), graph.one("gpu-ready"))


def test_no_pod_of_the_operator_runs_before_the_gpus_of_all_machines_are_divided(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    for name in ("gpu-mig", "gpu-1-mig", "gpu-ready", "gpu-1-ready"):
        assert graph.waits_for(graph.one("gpu-operator-release"), graph.one(name)), name
        assert graph.waits_for(graph.one("verification-run"), graph.one(name)), name
