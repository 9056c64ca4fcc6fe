"""Pods before a reboot for the driver: refused by their names or evicted, as mig.onChange says."""

import re

import pytest
from a_machine import NAME, AMachine
from calls import Called, call
from kubernetes_objects import node, pod

from machine.host.errors import NodeError
from machine.kubernetes import before_reboot

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


def ask(machine: AMachine, *, on_change: str = "refuse") -> Called:
    machine.desire(pods={"onChange": on_change, "namespaces": ["kube-system", "things"]})
    return call(machine, "before-reboot")


def end(machine: AMachine, capsys: pytest.CaptureFixture[str], *, on_change: str = "drain") -> str:
    """What is said when they are ended, as right before a reboot; raises NodeError."""
    machine.desire(pods={"onChange": on_change, "namespaces": ["kube-system", "things"]})
    before_reboot.ask(machine, end=True)
    return capsys.readouterr().err


def left(machine: AMachine) -> list[str]:
    return [each["metadata"]["name"] for each in machine.api.listed("pods")]


def test_where_a_pod_of_a_user_runs_it_is_refused_by_name(agent: AMachine, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = (
        f"{NAME} must reboot for its driver, and pods run on it: work/train-0. Delete them, or set"
        " mig.onChange to drain, then `pulumi up`"
    )
    asked = ask(agent)
    assert (asked.status, asked.stderr) == (1, f"mig-k8s: {refusal}\n")
    with pytest.raises(NodeError, match=re.escape(refusal)):
        end(agent, capsys, on_change="refuse")
    assert left(agent) == ["train-0", "operator", "plugin", "other"]


def test_where_it_is_drained_pods_are_only_rehearsed_and_then_evicted(
    agent: AMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(agent, on_change="drain").status == 0
    assert left(agent) == ["train-0", "operator", "plugin", "other"]
    assert end(agent, capsys) == f"evicts pod work/train-0, because {NAME} reboots\n"
    assert left(agent) == ["operator", "plugin", "other"]


def test_a_budget_that_forbids_it_is_named_and_nothing_ends(
    agent: AMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.api.change(budgets={"train-0": ["train"]})
    refusal = "pods may not be evicted: work/train-0: The disruption budget train needs 1 healthy pods"
    asked = ask(agent, on_change="drain")
    assert (asked.status, refusal in asked.stderr) == (1, True)
    with pytest.raises(NodeError, match=refusal):
        end(agent, capsys)
    assert left(agent) == ["train-0", "operator", "plugin", "other"]


def test_without_pods_of_users_or_without_a_node_nobody_is_asked(
    agent: AMachine, a_machine: AMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.api.change(pods=[pod("plugin", NAME, "u3", **OWNED)])
    assert (ask(agent).status, end(agent, capsys)) == (0, "")
    agent.systemd.set(active=[])
    agent.api.change(away=True)
    assert ask(a_machine).status == 0


def test_a_silent_api_server_does_not_permit_it(agent: AMachine, capsys: pytest.CaptureFixture[str]) -> None:
    agent.api.change(away=True)
    assert ask(agent).status == 1
    with pytest.raises(NodeError):
        end(agent, capsys)
