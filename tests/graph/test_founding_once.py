"""A stack founds its cluster once: by a command that follows neither its machine nor the order of the pools."""

from stacks import CLUSTER, Program

SERVERS = [{"name": "server", "role": "server", "count": 3, "vmSize": "Standard_D4s_v5"}]
OTHER = {"name": "front", "role": "server", "count": 2, "vmSize": "Standard_D4s_v5"}
SINGLE = {"strategy": "single"}


def test_the_first_machine_may_found_and_is_told_before_it_has_a_token(program: Program) -> None:
    graph = program(nodePools=SERVERS, mig=SINGLE)
    permission = graph.one("cluster-permission")
    assert permission.plain("create") == "sudo timeout -k 10 60 /usr/local/sbin/mig-k8s permit-founding"
    host = graph.one("server-converge").plain("connection", "host")
    assert permission.plain("connection", "host") == host
    assert graph.waits_for(permission, graph.one("server-release"))
    assert graph.waits_for(graph.one("server-converge"), permission)


def test_nothing_that_changes_runs_it_again(program: Program) -> None:
    """Neither another machine in the place of the first, nor another pool before it."""
    permission = program(nodePools=SERVERS, mig=SINGLE).one("cluster-permission")
    assert set(permission.inputs) == set(permission.request.ignoreChanges)
    assert permission.request.retainOnDelete
    assert "delete" not in permission.inputs


def test_where_the_cluster_may_be_lost_another_only_server_founds_another(program: Program) -> None:
    lone = program(nodePools=CLUSTER, mig=SINGLE, clusterMayBeLost=True).one("cluster-permission")
    assert lone.plain("triggers") == ["vm_id of server-vm"]
    assert set(lone.inputs) - {"triggers"} == set(lone.request.ignoreChanges)
    three = program(nodePools=SERVERS, mig=SINGLE, clusterMayBeLost=True).one("cluster-permission")
    assert set(three.inputs) == set(three.request.ignoreChanges)


def test_to_say_that_the_cluster_may_be_lost_or_to_grow_gives_no_permission_again(program: Program) -> None:
    """Else it would be given to whichever machine stands first by then, an empty one too."""
    grown = [OTHER, *SERVERS]
    for pools, lost in ((CLUSTER, False), (CLUSTER, True), (SERVERS, True), (grown, True)):
        permission = program(nodePools=pools, mig=SINGLE, clusterMayBeLost=lost).one("cluster-permission")
        ignored = "triggers" in permission.request.ignoreChanges
        assert ignored or permission.plain("triggers") == ["vm_id of server-vm"]


def test_what_is_in_the_cluster_follows_the_server_that_founded_it_and_no_other(program: Program) -> None:
    graph = program(nodePools=SERVERS, mig=SINGLE)
    provider = next(each for each in graph.resources if each.name == "cluster-kubernetes")
    assert provider.plain("clusterIdentifier") == "vm_id of server-vm"
    assert graph.waits_for(provider, graph.one("cluster-permission"))


def test_every_machine_can_join_by_each_server_but_itself(program: Program) -> None:
    graph = program(nodePools=[*SERVERS, *CLUSTER[1:], OTHER], mig=SINGLE)
    private = graph.exports["privateAddresses"].value
    for name in ("server", "front-1", "gpu"):
        others = [each for each in ("server", "server-1", "server-2", "front", "front-1") if each != name]
        words = "".join(f" --join {private[other]}" for other in others)
        assert graph.one(f"{name}-converge").plain("create") == (
            f"sudo timeout -k 10 90000 /usr/local/sbin/mig-k8s update{words}"
        )
