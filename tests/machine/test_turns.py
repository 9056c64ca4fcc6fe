"""Turns of agents: no more out at once than the limit says, whatever is killed, fails, or goes in between."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from a_machine import SECOND_BOOT
from agents import Agents
from calls import call
from kubernetes_objects import node

from machine.documents.turns import Turns
from machine.host.errors import NodeError
from machine.kubernetes import command_turn, turn_heartbeat, turns
from machine.kubernetes.turn_waiting import Waiting


@pytest.fixture
def three(tmp_path: Path) -> Agents:
    """Three agents, of which one may be out."""
    return Agents(tmp_path, "gpu", "gpu-1", "gpu-2")


def take(agents: Agents, name: str, said: list[str] | None = None) -> None:
    agents.turn(name).take("RKE2 restarts", told=(said if said is not None else []).append)


def test_an_agent_in_its_turn_is_entered_and_cordoned_and_both_end_with_it(three: Agents) -> None:
    take(three, "gpu")
    assert (three.out(), three.cordoned()) == (["gpu"], ["gpu"])
    three.turn("gpu").end()
    assert (three.out(), three.cordoned()) == ([], [])
    assert three.record() == Turns(agents_at_once=1)


def test_the_next_one_waits_says_for_whom_and_comes_when_there_is_room(three: Agents) -> None:
    take(three, "gpu")
    said: list[str] = []
    clock = three.machines["gpu-1"].clock
    clock.at(100, three.turn("gpu").end)
    take(three, "gpu-1", said)
    assert 100 <= sum(clock.slept) <= 104
    assert said[0] == (
        "waits for its turn, no more than 1 at once (rollout.agentsAtOnce): gpu (RKE2 restarts, since"
        " 2026-11-26T10:00:00Z)"
    )
    assert 3 <= len(said) <= 5, "every 30 s"
    assert (three.out(), three.cordoned()) == (["gpu-1"], ["gpu-1"])


def test_as_many_as_the_limit_says_are_out_and_no_more(tmp_path: Path) -> None:
    agents = Agents(tmp_path, "a", "b", "c", at_once=2)
    take(agents, "a")
    take(agents, "b")
    agents.machines["c"].clock.at(10, agents.turn("a").end)
    take(agents, "c")
    assert agents.out() == ["b", "c"]


def test_of_two_that_enter_at_the_same_time_one_waits(three: Agents) -> None:
    """The other agent enters between this one's read and its write: the API server refuses the older version."""
    came: list[str] = []

    def other_enters(_words: tuple[str, ...]) -> None:
        if not came:
            came.append("gpu-1")
            take(three, "gpu-1")

    machine = three.machines["gpu"]
    machine.api.before("^replace", other_enters)
    machine.clock.at(50, three.turn("gpu-1").end)
    take(three, "gpu")
    assert sum(machine.clock.slept) >= 50
    assert three.out() == ["gpu"]


def test_a_turn_that_was_killed_is_taken_up_again_at_once(three: Agents) -> None:
    take(three, "gpu")
    take(three, "gpu")
    assert three.machines["gpu"].clock.slept == []
    three.turn("gpu").end()
    assert (three.out(), three.cordoned()) == ([], [])


def test_whoever_was_cordoned_before_stays_so(three: Agents) -> None:
    call(three.server, "limit-turns", stdin='{"version": 1, "agentsAtOnce": 1}')
    nodes = three.api.listed("nodes")
    nodes[1]["spec"] = {"unschedulable": True}
    three.api.change(nodes=nodes)
    take(three, "gpu")
    three.turn("gpu").end()
    assert three.cordoned() == ["gpu"]


def test_a_turn_ends_when_the_node_of_this_boot_is_ready(three: Agents) -> None:
    take(three, "gpu")
    three.machines["gpu"].boot(SECOND_BOOT)
    clock, info = three.machines["gpu"].clock, {"bootID": SECOND_BOOT}
    clock.at(40, lambda: three.change_node("gpu", nodeInfo=info, conditions=[{"type": "Ready", "status": "False"}]))
    clock.at(80, lambda: three.change_node("gpu", conditions=[{"type": "Ready", "status": "True"}]))
    three.turn("gpu").end()
    assert 80 <= sum(clock.slept) <= 82
    assert three.out() == []


def test_a_node_that_does_not_come_back_stays_out(three: Agents) -> None:
    take(three, "gpu")
    three.change_node("gpu", conditions=[{"type": "Ready", "status": "Unknown"}])
    with pytest.raises(NodeError, match="the node gpu is not Ready after 300 s"):
        three.turn("gpu").end()
    assert (three.out(), three.cordoned()) == (["gpu"], ["gpu"])
    assert three.record().last_failure == "gpu failed in its turn: the node gpu is not Ready after 300 s"


def test_one_that_fails_stops_whoever_waits_and_not_the_one_beside_it(tmp_path: Path) -> None:
    agents = Agents(tmp_path, "a", "b", "c", at_once=2)
    take(agents, "a")
    take(agents, "b")
    agents.machines["c"].clock.at(10, lambda: agents.turn("a").fail("driver: broken", is_out=True))
    words = "c was stopped before its turn, nothing was changed: a failed in its turn: driver: broken"
    with pytest.raises(NodeError, match=words):
        take(agents, "c")
    agents.turn("b").end()
    assert (agents.out(), agents.cordoned()) == (["a"], ["a"])
    take(agents, "c")  # asked anew, with one still out
    assert agents.out() == ["a", "c"]


def test_one_that_failed_is_given_time_to_begin_again_and_then_named(three: Agents) -> None:
    take(three, "gpu")
    three.turn("gpu").fail("driver: broken", is_out=True)
    clock = three.machines["gpu-1"].clock
    words = r"did not get its turn within 30\d s.*gpu \(.*; failed: driver: broken\).*`sudo mig-k8s end-turn gpu`"
    with pytest.raises(NodeError, match=words):
        take(three, "gpu-1")
    assert 300 <= sum(clock.slept) <= 304
    clock.at(100, lambda: take(three, "gpu"))
    clock.at(1000, three.turn("gpu").end)
    take(three, "gpu-1")
    assert three.out() == ["gpu-1"]


def test_one_that_was_refused_leaves_and_stops_the_others_all_the_same(three: Agents) -> None:
    take(three, "gpu")
    three.machines["gpu-1"].clock.at(10, lambda: three.turn("gpu").fail("pods run on it", is_out=False))
    with pytest.raises(NodeError, match="gpu failed in its turn: pods run on it"):
        take(three, "gpu-1")
    assert (three.out(), three.cordoned()) == ([], [])


def test_one_that_was_refused_while_its_node_is_not_ready_stays_out(three: Agents) -> None:
    take(three, "gpu")
    three.change_node("gpu", conditions=[{"type": "Ready", "status": "Unknown"}])
    assert three.turn("gpu").fail("pods run on it", is_out=False) is True
    assert three.record().turns["gpu"].failed == "pods run on it; the node gpu is not Ready after 300 s"
    assert three.cordoned() == ["gpu"]


def test_a_command_in_its_turn_shows_that_it_is_at_work(
    three: Agents, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[[Callable[[], bool], str], None]
) -> None:
    monkeypatch.setattr(turn_heartbeat, "BEAT_SECONDS", 0.05)
    with command_turn.during(three.machines["gpu"], "MIG instances change"):
        wait_until(lambda: three.record().turns["gpu"].beats >= 2, "two signs of life")
    assert three.out() == []


def test_one_that_died_is_waited_for_and_then_named(three: Agents) -> None:
    take(three, "gpu")
    said: list[str] = []
    words = r"within 90\d s.*gpu \(RKE2 restarts, since .*; nothing was heard of it for 90\d s\). Start gpu or repair"
    with pytest.raises(NodeError, match=words):
        take(three, "gpu-1", said)
    assert "nothing was heard of it" not in said[4]
    assert said[-1].endswith("gpu (RKE2 restarts, since 2026-11-26T10:00:00Z; nothing was heard of it for 896 s)")
    assert (three.out(), three.cordoned()) == (["gpu"], ["gpu"])


def looks_until_named(agents: Agents, name: str, *, beats: int) -> str:
    """What an agent says that looks for room each 30 s, while `gpu` is heard of for `beats` minutes, then no more."""
    machine, node = agents.machines[name], agents.turn(name).node
    waiting = Waiting(node, told=lambda _: None, failures=None)
    for half_minute in range(600):
        if half_minute % 2 == 0 and half_minute < 2 * beats:
            turn_heartbeat.beat(agents.machines["gpu"])
        try:
            assert waiting.is_next(agents.record()) is False
        except NodeError as named:
            return str(named)
        machine.clock.sleep(30)
    pytest.fail("five hours are too long")


def test_one_at_work_is_waited_for_as_long_as_it_shows_that(three: Agents) -> None:
    take(three, "gpu")
    said = looks_until_named(three, "gpu-1", beats=60)
    assert re.search(r"within 4[45]\d\d s.*nothing was heard of it for 9[0-3]\d s", said), said


def test_one_that_is_at_work_for_ever_is_named_too(three: Agents) -> None:
    take(three, "gpu")
    said = looks_until_named(three, "gpu-1", beats=300)
    assert re.search(r"within 72[0-3]\d s.*gpu \(RKE2 restarts, since 2026-11-26T10:00:00Z\)\. Start", said), said


def test_beside_one_that_died_another_one_that_is_at_work_is_waited_for(tmp_path: Path) -> None:
    agents = Agents(tmp_path, "a", "b", "c", at_once=2)
    take(agents, "a")
    take(agents, "b")
    clock = agents.machines["c"].clock
    for minute in range(1, 21):
        clock.at(60 * minute, lambda: turn_heartbeat.beat(agents.machines["b"]))
    clock.at(1250, agents.turn("b").end)
    take(agents, "c")
    assert agents.out() == ["a", "c"]


def test_a_sign_of_life_does_not_bring_back_a_turn_that_was_ended(three: Agents) -> None:
    take(three, "gpu")
    assert call(three.server, "end-turn", "gpu").status == 0
    turn_heartbeat.beat(three.machines["gpu"])
    assert three.record() == Turns(agents_at_once=1)


def test_a_machine_that_is_removed_has_no_turn_any_more(three: Agents) -> None:
    take(three, "gpu")
    removal = {"version": 1, "node": "gpu", "onChange": "drain", "namespaces": []}
    assert call(three.server, "remove-node", stdin=json.dumps(removal)).status == 0
    assert three.out() == []


def test_a_turn_that_nobody_ends_is_ended_by_hand_on_a_server(three: Agents) -> None:
    take(three, "gpu")
    assert call(three.server, "end-turn", "gpu").stderr == "the turn of gpu has ended\n"
    assert (three.out(), three.cordoned()) == ([], [])
    assert call(three.server, "end-turn", "gpu").stderr == "gpu has no turn\n"


def test_another_limit_keeps_the_turns(three: Agents) -> None:
    take(three, "gpu")
    three.limit(2)
    assert three.record().agents_at_once == 2
    take(three, "gpu-1")
    assert three.out() == ["gpu", "gpu-1"]


def test_a_limit_below_one_is_refused(three: Agents) -> None:
    said = call(three.server, "limit-turns", stdin='{"version": 1, "agentsAtOnce": 0}')
    assert (said.status, said.stderr) == (2, "mig-k8s: the limit of turns: agentsAtOnce: at least 1 is expected\n")


def test_without_a_record_nothing_is_disturbed_and_the_way_out_is_said(three: Agents) -> None:
    three.api.change(configmaps=[], roles=[], rolebindings=[])
    with pytest.raises(NodeError, match=r"the cluster keeps no turns .*Forbidden.*sudo mig-k8s limit-turns"):
        take(three, "gpu")
    assert three.cordoned() == []


def test_servers_and_machines_that_are_not_in_the_cluster_wait_for_nobody(three: Agents) -> None:
    assert turns.AgentTurn.of(three.server) is None
    three.machines["gpu"].systemd.set(active=[])
    assert turns.AgentTurn.of(three.machines["gpu"]) is None


def test_a_machine_whose_rke2_is_dead_tells_of_its_failure_by_the_server_that_it_joined(three: Agents) -> None:
    take(three, "gpu")
    machine = three.machines["gpu"]
    nodes = three.api.listed("nodes")
    nodes[0] = node("server", "b", {}, {"node-role.kubernetes.io/etcd": "true"}, address="10.60.0.4")
    three.api.change(nodes=nodes)
    machine.write("etc/rancher/rke2/config.yaml", "server: https://10.60.0.4:9345\n")
    machine.systemd.set(active=[])
    begun = turns.AgentTurn.begun(machine)
    assert begun is not None
    begun.fail("rke2: does not start", is_out=True)
    assert three.record().turns["gpu"].failed == "rke2: does not start"
    assert three.api.calls("kubectl @10.60.0.4 replace")
