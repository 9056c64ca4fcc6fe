"""Pods before a reboot for the driver: refused by their names or evicted, as mig.onChange says."""

import pytest
from a_machine import NAME, AMachine
from calls import Called, call
from kubernetes_api import node, pod

OWNED = {"ownerReferences": [{"kind": "DaemonSet", "name": "plugin"}]}


@pytest.fixture
def agent(a_machine: AMachine) -> AMachine:
    """An agent on which a pod of a user runs, beside the cluster's own and a DaemonSet's."""
    a_machine.join("agent")
    own = pod("operator", NAME, "u2")
    own["metadata"]["namespace"] = "things"
    pods = [pod("train-0", NAME, "u1"), own, pod("plugin", NAME, "u3", **OWNED), pod("other", "gpu-2", "u4")]
    a_machine.api.change(nodes=[node(NAME, "b", {}, {})], pods=pods)
    return a_machine


def ask(machine: AMachine, *options: str, on_change: str = "refuse") -> Called:
    machine.desire(pods={"onChange": on_change, "namespaces": ["kube-system", "things"]})
    return call(machine, "before-reboot", *options)


def left(machine: AMachine) -> list[str]:
    return [each["metadata"]["name"] for each in machine.api.listed("pods")]


@pytest.mark.parametrize("options", [[], ["--end"]])
def test_where_a_pod_of_a_user_runs_it_is_refused_by_name(agent: AMachine, options: list[str]) -> None:
    ended = ask(agent, *options)
    assert (ended.status, ended.stderr) == (
        1,
        (
            f"mig-k8s: {NAME} must reboot for its driver, and pods run on it: work/train-0. Delete them, or set"
            " mig.onChange to drain, then `pulumi up`\n"
        ),
    )
    assert left(agent) == ["train-0", "operator", "plugin", "other"]


def test_where_it_is_drained_pods_are_only_rehearsed_and_then_evicted(agent: AMachine) -> None:
    assert ask(agent, on_change="drain").status == 0
    assert left(agent) == ["train-0", "operator", "plugin", "other"]
    ended = ask(agent, "--end", on_change="drain")
    assert (ended.status, ended.stderr) == (0, f"evicts pod work/train-0, because {NAME} reboots\n")
    assert left(agent) == ["operator", "plugin", "other"]


@pytest.mark.parametrize("options", [[], ["--end"]])
def test_a_budget_that_forbids_it_is_named_and_nothing_ends(agent: AMachine, options: list[str]) -> None:
    agent.api.change(budgets={"train-0": ["train"]})
    ended = ask(agent, *options, on_change="drain")
    assert ended.status == 1
    assert "pods may not be evicted: work/train-0: The disruption budget train needs 1 healthy pods" in ended.stderr
    assert left(agent) == ["train-0", "operator", "plugin", "other"]


def test_without_pods_of_users_or_without_a_node_nobody_is_asked(agent: AMachine, a_machine: AMachine) -> None:
    agent.api.change(pods=[pod("plugin", NAME, "u3", **OWNED)])
    assert (ask(agent).status, ask(agent, "--end", on_change="drain").status) == (0, 0)
    agent.systemd.set(active=[])
    agent.api.change(away=True)
    assert ask(a_machine).status == 0


def test_an_api_server_that_does_not_answer_is_no_yes(agent: AMachine) -> None:
    agent.api.change(away=True)
    assert ask(agent, "--end").status == 1
