"""A machine that is to be deleted leaves the cluster first: `remove-node`, run on a server."""

from typing import Any

import pytest
from a_machine import NAME, AMachine
from calls import Called, call
from kubernetes_objects import node, pod

from machine.documents.node_removal import NodeRemoval
from machine.host.program import Ended

ETCD = {"node-role.kubernetes.io/etcd": "true"}
LEAVING = "gpu-1"

AWAY = "Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)"


@pytest.fixture
def server(a_machine: AMachine) -> AMachine:
    """The tutorial's machine as the server of a cluster with two agents."""
    a_machine.join()
    nodes(a_machine, node(NAME, "b0", {}, ETCD), node("gpu", "b1", {}, {}), node(LEAVING, "b2", {}, {}))
    return a_machine


def nodes(machine: AMachine, *those: dict[str, Any]) -> None:
    machine.api.change(nodes=list(those))


def remove(machine: AMachine, on_change: str = "refuse", name: str = LEAVING, *, comes_back: bool = False) -> Called:
    own = ("kube-system", "gpu-operator")
    removal = NodeRemoval(name, on_change, own, comes_back)  # type: ignore[arg-type]
    return call(machine, "remove-node", stdin=removal.to_json())


def left(machine: AMachine) -> list[str]:
    return [each["metadata"]["name"] for each in machine.api.listed("nodes")]


def changes(machine: AMachine) -> list[str]:
    """What kubectl was told to change."""
    return [line for line in machine.api.calls() if line.split()[1] not in ("get",)]


def test_a_machine_without_pods_of_users_is_cordoned_and_its_node_deleted(server: AMachine) -> None:
    ended = remove(server)
    assert (ended.status, ended.stderr) == (0, "deletes node gpu-1\n")
    assert changes(server) == ["kubectl cordon gpu-1", "kubectl delete node gpu-1 --ignore-not-found --timeout=180s"]
    assert left(server) == [NAME, "gpu"]


def test_where_pods_run_it_is_refused_by_their_names_before_anything_changes(server: AMachine) -> None:
    server.api.change(pods=[pod("train-0", LEAVING, "u1"), pod("other", "gpu", "u2")])
    ended = remove(server)
    assert ended.status == 1
    assert ended.stderr == (
        "mig-k8s: pods run on gpu-1, which is to be removed: work/train-0. Delete them; or set mig.onChange to drain, "
        "run `pulumi up` while the machine is still in the stack file, and remove it then\n"
    )
    assert changes(server) == []


def test_where_draining_is_allowed_pods_are_evicted_before_the_node_goes(server: AMachine) -> None:
    server.api.change(pods=[pod("train-0", LEAVING, "u1"), pod("other", "gpu", "u2")])
    ended = remove(server, "drain")
    assert (ended.status, ended.stderr) == (
        0,
        "evicts pod work/train-0, because gpu-1 is removed\ndeletes node gpu-1\n",
    )
    assert [each["metadata"]["name"] for each in server.api.listed("pods")] == ["other"]
    assert left(server) == [NAME, "gpu"]


def test_a_disruption_budget_is_obeyed_and_nothing_is_cordoned(server: AMachine) -> None:
    server.api.change(pods=[pod("train-0", LEAVING, "u1")], budgets={"train-0": ["train"]})
    ended = remove(server, "drain")
    assert ended.status == 1
    assert "work/train-0: The disruption budget train needs 1 healthy pods and has 1 currently" in ended.stderr
    assert [line for line in changes(server) if " create " not in line] == []
    assert left(server) == [NAME, "gpu", LEAVING]


def test_a_pod_that_comes_between_the_look_and_the_cordon_is_seen(server: AMachine) -> None:
    server.api.before("^cordon", lambda _: server.api.change(pods=[pod("late", LEAVING, "u1")]))
    ended = remove(server)
    assert ended.status == 1
    assert "work/late" in ended.stderr
    assert changes(server) == ["kubectl cordon gpu-1", "kubectl uncordon gpu-1"]


@pytest.mark.parametrize(
    "own",
    [
        pod("coredns", LEAVING, "u1", namespace="kube-system"),
        pod("gpu-operator", LEAVING, "u1", namespace="gpu-operator"),
        pod("calico", LEAVING, "u1", ownerReferences=[{"kind": "DaemonSet", "name": "calico"}]),
        pod("kube-proxy", LEAVING, "u1", ownerReferences=[{"kind": "Node", "name": LEAVING}]),
        pod("done", LEAVING, "u1", phase="Succeeded"),
    ],
    ids=lambda own: own["metadata"]["name"],
)
def test_the_clusters_own_pods_hinder_nothing(server: AMachine, own: dict[str, Any]) -> None:
    server.api.change(pods=[own])
    assert remove(server).status == 0
    assert left(server) == [NAME, "gpu"]


@pytest.mark.parametrize("on_change", ["refuse", "drain"])
def test_a_dead_machine_is_removed_with_its_pods_whatever_may_be_done_to_them(server: AMachine, on_change: str) -> None:
    """Nobody waits for pods whose kubelet is gone."""
    nodes(server, node(NAME, "b0", {}, ETCD), node(LEAVING, "b2", {}, {}, ready="Unknown"))
    server.api.change(pods=[pod("train-0", LEAVING, "u1")], stuck=["train-0"])
    ended = remove(server, on_change)
    assert (ended.status, left(server)) == (0, [NAME])
    assert ended.stderr.startswith("gpu-1 does not answer, so its pods cannot be told to end; their owners make them")
    assert server.clock.slept == []


def test_a_machine_that_never_joined_is_removed_without_an_error(server: AMachine) -> None:
    ended = remove(server, name="gpu-7")
    assert (ended.status, ended.stderr) == (0, "gpu-7 is not a node of this cluster: nothing to remove\n")
    assert changes(server) == []


def test_where_the_node_cannot_be_deleted_pods_may_come_again_and_a_second_run_goes_on(server: AMachine) -> None:
    server.api.change(stuck_nodes=[LEAVING])
    ended = remove(server)
    assert ended.status == 1
    assert "timed out waiting for the condition on nodes/gpu-1" in ended.stderr
    (stays,) = [each for each in server.api.listed("nodes") if each["metadata"]["name"] == LEAVING]
    assert stays["spec"] == {"unschedulable": False}
    server.api.change(stuck_nodes=[])
    assert remove(server).status == 0


def test_while_the_servers_that_stay_elect_anew_the_node_is_deleted_again(server: AMachine) -> None:
    """The API server may be away just when an etcd member goes, before or after its Node has gone."""
    asked = []

    def away(words: list[str]) -> Ended | None:
        asked.append(words)
        return Ended(tuple(words), 1, "", AWAY) if len(asked) < 3 else None

    server.api.before("^delete node", away)
    ended = remove(server)
    assert (ended.status, len(asked), left(server)) == (0, 3, [NAME, "gpu"])
    assert "uncordon" not in " ".join(changes(server))


def test_the_reason_is_told_although_the_node_can_not_be_uncordoned(server: AMachine) -> None:
    server.api.change(stuck_nodes=[LEAVING])
    server.api.before("^uncordon", lambda words: Ended(tuple(words), 1, "", AWAY))
    ended = remove(server)
    assert ended.status == 1
    assert "gpu-1 stays cordoned: kubectl uncordon gpu-1: Unable to connect to the server" in ended.stderr
    assert "timed out waiting for the condition on nodes/gpu-1" in ended.stderr.splitlines()[-1]


def leaving_too(name: str, **metadata: str) -> dict[str, Any]:
    """A server that somebody else removes at this moment."""
    other = node(name, "b", {}, ETCD)
    other["metadata"] |= metadata
    return {**other, "spec": {} if metadata else {"unschedulable": True}}


@pytest.mark.parametrize("metadata", [{}, {"deletionTimestamp": "2026-11-27T05:00:00Z"}])
def test_two_servers_never_leave_at_once_from_whichever_machines_they_are_removed(
    server: AMachine, metadata: dict[str, str]
) -> None:
    nodes(server, node(NAME, "b0", {}, ETCD), node("s2", "b", {}, ETCD), leaving_too("s3", **metadata))
    ended = remove(server, "drain", name="s2")
    assert ended.status == 1
    assert ended.stderr.startswith("mig-k8s: s2 is not removed: s3 is cordoned and may be leaving too, and two ")
    assert changes(server) == ["kubectl cordon s2", "kubectl uncordon s2"]


def test_an_agent_leaves_whichever_server_is_cordoned(server: AMachine) -> None:
    nodes(server, node(NAME, "b0", {}, ETCD), leaving_too("s2"), node(LEAVING, "b1", {}, {}))
    assert remove(server).status == 0


@pytest.mark.parametrize(
    ("others", "seen"),
    [
        ([("s2", "True"), ("s3", "Unknown")], "of the servers that stay, s3 do not answer"),
        ([("s2", "Unknown")], "of the servers that stay, s2 do not answer"),
    ],
)
def test_a_server_whose_end_would_cost_the_majority_stays(
    server: AMachine, others: list[tuple[str, str]], seen: str
) -> None:
    those = [node(name, "b", {}, ETCD, ready=ready) for name, ready in others]
    nodes(server, node(NAME, "b0", {}, ETCD), *those, node("gpu", "b1", {}, {}))
    ended = remove(server, "drain", name=NAME)
    assert ended.status == 1
    assert ended.stderr == (
        f"mig-k8s: mlops-k8s-master is not removed: {seen}, so the cluster would lose the majority of its servers. "
        "Bring them back first\n"
    )
    assert changes(server) == []


def test_the_only_server_stays_because_the_cluster_would_be_lost_with_it(server: AMachine) -> None:
    ended = remove(server, "drain", name=NAME)
    assert ended.status == 1
    assert ended.stderr == (
        "mig-k8s: mlops-k8s-master is not removed: it is the only server, and the cluster would be lost with it. Put "
        "it back into the stack file; `pulumi destroy` ends a whole stack\n"
    )
    assert changes(server) == []


@pytest.mark.parametrize("ready", ["True", "Unknown"])
@pytest.mark.parametrize("others", [["s2"], ["s2", "s3"], ["s2", "s3", "s4"]])
def test_a_server_whose_others_all_answer_may_go_alive_or_dead(server: AMachine, others: list[str], ready: str) -> None:
    nodes(server, node(NAME, "b0", {}, ETCD, ready=ready), *(node(name, "b", {}, ETCD) for name in others))
    assert remove(server, name=NAME).status == 0
    assert left(server) == others


def test_a_server_that_is_removed_from_itself_asks_another_one_that_answers(server: AMachine) -> None:
    """Who is reached by the one address of three servers may be the one that leaves. Its API server ends with it."""
    nodes(
        server,
        node(NAME, "b0", {}, ETCD, address="10.60.0.4"),
        node("gpu", "b", {}, {}, address="10.60.0.5"),
        node("s2", "b", {}, ETCD, address="10.60.0.6", ready="Unknown"),
        node("s3", "b", {}, ETCD, address="10.60.0.7"),
        node("s4", "b", {}, ETCD, address="10.60.0.8"),
    )
    server.api.change(pods=[pod("train-0", NAME, "u1")])
    ended = remove(server, "drain", name=NAME)
    assert (ended.status, left(server)) == (0, ["gpu", "s2", "s3", "s4"])
    asked = [line for line in server.api.calls() if " @" not in line]
    assert asked == ["kubectl get nodes -o json"], "only who the others are is asked of its own API server"
    assert "kubectl @10.60.0.7 delete node mlops-k8s-master --ignore-not-found --timeout=180s" in server.api.calls()


def test_a_machine_that_is_rebuilt_leaves_like_one_that_is_removed_in_words_of_its_own(server: AMachine) -> None:
    server.api.change(pods=[pod("train-0", LEAVING, "u1"), pod("other", "gpu", "u2")])
    refused = remove(server, comes_back=True)
    assert refused.status == 1
    assert refused.stderr == (
        "mig-k8s: pods run on gpu-1, which is to be rebuilt: work/train-0. Delete them; or set mig.onChange to drain, "
        "run `pulumi up` with the old text, and rebuild it then\n"
    )
    ended = remove(server, "drain", comes_back=True)
    assert (ended.status, ended.stderr) == (
        0,
        "evicts pod work/train-0, because gpu-1 is rebuilt\ndeletes node gpu-1\n",
    )


def test_the_only_server_is_not_rebuilt_and_it_is_said_how_to_lose_its_cluster(server: AMachine) -> None:
    ended = remove(server, "drain", name=NAME, comes_back=True)
    assert ended.status == 1
    assert ended.stderr == (
        "mig-k8s: mlops-k8s-master is not rebuilt: it is the only server, and the cluster would be lost with it. Set "
        "mig-k8s:rebuild of it back. To lose the cluster: mig-k8s:clusterMayBeLost: true, `pulumi up`, and rebuild it "
        "then\n"
    )
    assert changes(server) == []


def test_in_the_place_of_an_only_server_that_was_lost_there_is_nothing_to_remove(a_machine: AMachine) -> None:
    """Nothing runs on it yet, and nobody else is there to ask."""
    ended = remove(a_machine, name=NAME, comes_back=True)
    assert ended.status == 0
    assert ended.stderr == (
        "mlops-k8s-master is new, and its cluster was lost with the machine before it: nothing to remove\n"
    )
    assert remove(a_machine, name=LEAVING, comes_back=True).status == 1
