"""A change of the instances of a living agent is done in its turn, and the first one of its life is not."""

import json

import pytest
from a_live_node import LiveNode
from a_machine import DESIRED, NAME
from calls import call
from gpus import Gpus, layout

from machine.documents.layout import GpuLayout, Place
from machine.documents.turns import Turns

HALVES = GpuLayout(0, mode=True, instances=(Place("3g.40gb", 0), Place("3g.40gb", 4)))
AGENT = {**DESIRED["rke2"], "role": "agent"}


@pytest.fixture
def agent(a100: Gpus) -> LiveNode:
    """A living agent with seven devices."""
    live = LiveNode(a100, role="server")
    assert call(live.machine, "limit-turns", stdin='{"version": 1, "agentsAtOnce": 1}').status == 0
    live.machine.path("/etc/rancher/rke2/rke2.yaml").unlink()
    live.machine.systemd.set(active=[])
    live.machine.join("agent")
    live.machine.desire(rke2=AGENT)
    live.api.forget_calls()
    return live


def record(live: LiveNode) -> Turns:
    (found,) = live.api.listed("configmaps")
    return Turns.from_json(found["data"]["turns.json"])


def verbs(live: LiveNode) -> list[str]:
    """What was changed in the cluster, in its order."""
    return [line.split()[1] for line in live.api.calls() if line.split()[1] != "get"]


def test_clients_are_paused_in_the_turn_and_nowhere_else(agent: LiveNode) -> None:
    assert agent.apply(HALVES).status == 0
    assert verbs(agent) == ["replace", "cordon", "label", "label", "uncordon", "replace"]
    assert record(agent) == Turns(1)


def test_while_another_is_out_nothing_is_touched(agent: LiveNode) -> None:
    found = agent.api.listed("configmaps")
    out = {"gpu-9": {"why": "it reboots", "since": "2026-11-26T09:00:00Z", "cordoned": True, "failed": ""}}
    turns = json.loads(found[0]["data"]["turns.json"]) | {"turns": out}
    found[0]["data"]["turns.json"] = json.dumps(turns)
    agent.api.change(configmaps=found)
    said = agent.apply(HALVES)
    assert said.status == 1
    assert f"{NAME} did not get its turn within 90" in said.stderr
    assert verbs(agent) == []


def test_a_layout_that_is_there_already_takes_no_turn(agent: LiveNode) -> None:
    assert call(agent.machine, "apply", stdin=agent.machine.read("etc/mig-k8s/layout.json")).status == 0
    assert verbs(agent) == []


def test_the_first_layout_of_a_machine_takes_no_turn(agent: LiveNode) -> None:
    agent.machine.path("/etc/mig-k8s/layout.json").unlink()
    agent.machine.path("/var/lib/mig-k8s/born").unlink(missing_ok=True)
    assert agent.apply(HALVES).status == 0
    assert verbs(agent) == ["label", "label"]
    assert agent.machine.path("/var/lib/mig-k8s/born").exists()


def test_a_refusal_for_a_pod_leaves_the_turn_and_is_told_to_those_who_wait(agent: LiveNode) -> None:
    agent.hold(("notebook", 0))
    wanted = layout(HALVES)
    said = call(agent.machine, "apply", stdin=wanted)
    assert said.status == 1
    assert "cordon" in verbs(agent)
    assert record(agent).turns == {}
    assert record(agent).last_failure == (
        f"{NAME} failed in its turn: GPU 0: pods hold devices that must go: work/notebook (1g.10gb at 0). Delete them,"
        " or set mig.onChange to drain"
    )
    assert verbs(agent)[-2:] == ["uncordon", "replace"]
