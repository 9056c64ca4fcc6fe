"""The turn of a run of stages on a living agent: asked for before what disturbs, over when the machine is back."""

from dataclasses import replace
from pathlib import Path

import pytest
from a_machine import DESIRED, NAME, SECOND_BOOT
from calls import call
from kubernetes_objects import node, pod
from staged import StagedMachine, WentDownError

from machine.documents.turns import Turn, Turns
from machine.host import lock
from machine.kubernetes import turn_heartbeat
from machine.kubernetes.turn_record import TurnRecord
from machine.kubernetes.turns import AgentTurn

RESTARTS = """
    [ -z "$ASKS_TURN" ] || { echo turn RKE2 restarts; exit; }
    echo half-changed
    echo done restarted
"""
BREAKS = """
    [ -z "$ASKS_TURN" ] || { echo turn RKE2 restarts; exit; }
    echo half-changed
    echo failed does not start; exit 1
"""
REFUSES = """
    [ -z "$ASKS_TURN" ] || { echo turn another driver; exit; }
    echo failed pods run on it; exit 1
"""
STAYS_OUT = (
    "This machine stays cordoned, and others wait for it, until a run succeeds: `pulumi up`, or `sudo mig-k8s ready` on"
    " it. Where it is well all the same: `sudo mig-k8s end-turn` on it"
)
AGENT = {**DESIRED["rke2"], "role": "agent"}


@pytest.fixture
def agent(tmp_path: Path) -> StagedMachine:
    """An agent that runs, in a cluster in which one of its kind may be out."""
    machine = StagedMachine.below(tmp_path)
    machine.desire(rke2=AGENT)
    machine.api.change(nodes=[node(NAME, "11111111-1111-1111-1111-111111111111", {}, {})])
    machine.join("server")  # for the limit, which a server says
    assert call(machine, "limit-turns", stdin='{"version": 1, "agentsAtOnce": 1}').status == 0
    machine.path("/etc/rancher/rke2/rke2.yaml").unlink()
    machine.systemd.set(active=[])
    machine.join("agent")
    assert machine.converge() == 0
    machine.runs()
    return machine


def record(machine: StagedMachine) -> Turns:
    (found,) = machine.api.listed("configmaps")
    return Turns.from_json(found["data"]["turns.json"])


def is_cordoned(machine: StagedMachine) -> bool:
    (found,) = machine.api.listed("nodes")
    return bool(found.get("spec", {}).get("unschedulable"))


def another_is_out(machine: StagedMachine) -> TurnRecord:
    turn = AgentTurn.of(machine)
    assert turn is not None
    out = {"gpu-9": Turn("it reboots", "2026-11-26T09:00:00Z", cordoned=True)}
    turn.record.change(lambda found: replace(found, turns=out))
    return turn.record


def follow(machine: StagedMachine) -> int:
    """A run while somebody waits for its end, as `pulumi up` does."""
    with lock.shared(machine.path(lock.FOLLOWERS)):
        return machine.converge()


def test_a_stage_that_disturbs_runs_in_the_turn_which_ends_with_the_run(agent: StagedMachine) -> None:
    agent.stage("rke2", f"kubectl_says=$(cat)\n{RESTARTS}")
    agent.api.forget_calls()
    assert agent.converge() == 0
    assert agent.runs() == ["rke2", "rke2"]
    assert agent.reason("rke2") == "restarted"
    verbs = [line.split()[1] for line in agent.api.calls() if line.split()[1] != "get"]
    assert verbs == ["replace", "cordon", "uncordon", "replace"]
    assert (record(agent), is_cordoned(agent)) == (Turns(1), False)


def test_a_stage_that_disturbs_nobody_takes_no_turn(agent: StagedMachine) -> None:
    agent.stage("rke2", "echo done wrote a file")
    agent.api.forget_calls()
    another_is_out(agent)
    assert agent.converge() == 0
    assert agent.api.calls("kubectl cordon") == []


def test_before_it_joins_a_machine_is_not_asked_to_wait(agent: StagedMachine) -> None:
    another_is_out(agent)
    agent.systemd.set(active=[])
    agent.stage("rke2", RESTARTS)
    assert agent.converge() == 0
    assert agent.runs() == ["rke2"]


def test_the_stages_before_are_done_while_it_waits_and_it_goes_on_when_there_is_room(agent: StagedMachine) -> None:
    others = another_is_out(agent)
    agent.stage("apt", "echo done wrote its settings")
    agent.stage("rke2", RESTARTS)
    agent.clock.at(600, lambda: others.forget("gpu-9"))
    assert follow(agent) == 0
    assert sum(agent.clock.slept) >= 600
    assert "waits for its turn, no more than 1 at once" in agent.read("run/mig-k8s/progress")
    assert agent.outcomes()["rke2"] == "done"


def test_without_anybody_who_follows_it_does_not_wait(agent: StagedMachine) -> None:
    another_is_out(agent)
    agent.stage("rke2", RESTARTS)
    assert agent.converge() == 1
    assert agent.reason("rke2") == "others have their turn, and nobody waits here any more: `pulumi up` goes on"
    assert (sum(agent.clock.slept), is_cordoned(agent)) == (0, False)


def test_another_stack_file_ends_the_waiting(agent: StagedMachine) -> None:
    another_is_out(agent)
    agent.stage("rke2", RESTARTS)
    agent.clock.at(60, lambda: agent.desire(rke2={**AGENT, "version": "v1.35.8+rke2r1"}))
    assert follow(agent) == 1
    assert agent.reason("rke2") == "the stack file says something else meanwhile, nothing was changed"


def test_what_fails_half_changed_stays_out_says_so_and_ends_with_the_run_that_brings_it_back(
    agent: StagedMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.stage("rke2", BREAKS)
    assert agent.command("ready") == 1
    assert f"\nrke2 failed: does not start. {STAYS_OUT}\n" in capsys.readouterr().err
    assert record(agent).turns[NAME].failed == "rke2: does not start"
    assert (record(agent).failures, is_cordoned(agent)) == (1, True)
    agent.stage("rke2", RESTARTS)
    assert agent.converge() == 0
    assert (record(agent).turns, is_cordoned(agent)) == ({}, False)


@pytest.mark.parametrize("after", ["echo done is well", "echo failed no way out; exit 1", RESTARTS])
def test_what_fails_before_it_has_changed_anything_leaves_and_is_counted_for_those_who_wait(
    agent: StagedMachine, after: str
) -> None:
    agent.stage("driver", REFUSES)
    agent.stage("rke2", after)
    assert agent.converge() == 1
    assert agent.reason("driver") == "pods run on it"
    assert (record(agent).turns, is_cordoned(agent)) == ({}, False)
    assert agent.converge() == 1
    assert (record(agent).turns, is_cordoned(agent)) == ({}, False)


def test_what_ends_without_a_word_in_its_turn_stays_out(agent: StagedMachine) -> None:
    agent.stage("driver", '[ -z "$ASKS_TURN" ] || { echo turn another driver; exit; }\nexit 3')
    assert agent.converge() == 1
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


def test_what_fails_half_changed_in_the_turn_of_another_stage_stays_out(agent: StagedMachine) -> None:
    agent.stage("driver", RESTARTS)
    agent.stage("rke2", BREAKS)
    assert agent.converge() == 1
    assert agent.reason("rke2") == f"does not start. {STAYS_OUT}"
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


def test_what_is_refused_in_its_turn_is_told_to_those_who_wait(agent: StagedMachine) -> None:
    agent.stage("driver", REFUSES)
    assert agent.converge() == 1
    assert record(agent).last_failure == f"{NAME} failed in its turn: driver: pods run on it"


def test_a_failure_elsewhere_after_the_run_began_stops_it(agent: StagedMachine) -> None:
    others = another_is_out(agent)

    def fails() -> None:
        others.change(lambda found: replace(found, turns={}, failures=1, last_failure="gpu-9 failed in its turn: x"))

    agent.stage("rke2", RESTARTS)
    agent.clock.at(60, fails)
    assert follow(agent) == 1
    assert (
        agent.reason("rke2") == f"{NAME} was stopped before its turn, nothing was changed: gpu-9 failed in its turn: x"
    )
    assert agent.converge() == 0, "a new run begins with what has failed by then"


def test_a_reboot_keeps_the_turn_and_the_next_boot_ends_it(agent: StagedMachine) -> None:
    agent.desire(rke2=AGENT, pods={"onChange": "drain"})
    agent.api.change(pods=[pod("train-0", NAME, "u1")])
    agent.stage("driver", "echo reboot the kernel runs the old driver")
    with pytest.raises(WentDownError):
        agent.converge()
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)
    assert [line.split()[1] for line in agent.api.calls() if "cordon" in line or "eviction" in line][:2] == [
        "cordon",
        "create",
    ]
    agent.next_boot()
    agent.stage("driver", "echo unchanged the new driver runs")
    agent.api.change(nodes=[node(NAME, SECOND_BOOT, {}, {}) | {"spec": {"unschedulable": True}}])
    assert agent.converge() == 0
    assert (record(agent).turns, is_cordoned(agent)) == ({}, False)


def test_a_reboot_that_did_not_help_keeps_the_machine_out(agent: StagedMachine) -> None:
    agent.stage("driver", "echo reboot the kernel runs the old driver")
    with pytest.raises(WentDownError):
        agent.converge()
    agent.next_boot()
    agent.api.change(nodes=[node(NAME, SECOND_BOOT, {}, {}) | {"spec": {"unschedulable": True}}])
    agent.stage("apt", RESTARTS)  # which takes the turn up again
    assert agent.converge() == 1
    assert agent.reason("driver").endswith(STAYS_OUT)
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


def test_a_driver_that_does_not_load_after_the_reboot_keeps_the_machine_out(agent: StagedMachine) -> None:
    agent.stage("driver", "echo reboot the kernel runs the old driver")
    with pytest.raises(WentDownError):
        agent.converge()
    agent.next_boot()
    agent.api.change(nodes=[node(NAME, SECOND_BOOT, {}, {}) | {"spec": {"unschedulable": True}}])
    agent.stage("driver", "echo failed the nvidia module does not load; exit 1")
    assert agent.converge() == 1
    assert agent.reason("driver") == f"the nvidia module does not load. {STAYS_OUT}"
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


def test_a_machine_that_does_not_go_down_for_its_reboot_stays_out(agent: StagedMachine) -> None:
    agent.systemd.goes_down = False
    agent.stage("driver", "echo reboot the kernel runs the old driver")
    assert agent.converge() == 1
    assert agent.reason("driver").endswith(STAYS_OUT)
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


def test_a_turn_that_was_cut_off_is_not_given_back_by_a_run_that_fails_before_it_has_changed_anything(
    agent: StagedMachine,
) -> None:
    turn = AgentTurn.of(agent)
    assert turn is not None
    turn.take("another driver")  # and it was killed
    agent.stage("driver", REFUSES)
    assert agent.converge() == 1
    assert (list(record(agent).turns), is_cordoned(agent)) == ([NAME], True)


@pytest.mark.parametrize(("every", "beats"), [(60, "1"), (0.05, "[3-9]")])
def test_a_run_shows_that_it_is_at_work_from_its_beginning_on(
    agent: StagedMachine, monkeypatch: pytest.MonkeyPatch, every: float, beats: str
) -> None:
    monkeypatch.setattr(turn_heartbeat, "BEAT_SECONDS", every)
    turn = AgentTurn.of(agent)
    assert turn is not None
    turn.take("it reboots")
    is_shown = f"grep -aq 'beats.: {beats}' {agent.api.folder / 'objects'}"
    shows = f'timeout 20 bash -c "until {is_shown}; do sleep 0.02; done"'
    agent.stage("apt", f"{shows} || {{ echo failed nothing is shown; exit 1; }}\necho done is well")
    assert agent.converge() == 0


def test_a_node_that_is_not_ready_in_the_end_fails_the_run_which_is_tried_again(agent: StagedMachine) -> None:
    agent.stage("rke2", RESTARTS)
    agent.api.change(nodes=[node(NAME, "11111111-1111-1111-1111-111111111111", {}, {}, ready="False")])
    assert agent.converge() == 1
    assert agent.reason("rke2") == f"the node {NAME} is not Ready after 300 s. {STAYS_OUT}"
    assert record(agent).turns[NAME].failed == f"the node {NAME} is not Ready after 300 s"
    agent.api.change(nodes=[node(NAME, "11111111-1111-1111-1111-111111111111", {}, {})])
    assert agent.converge() == 0
    assert record(agent).turns == {}


def test_an_api_server_that_is_away_does_not_permit_the_run_to_go_on(agent: StagedMachine) -> None:
    agent.stage("rke2", RESTARTS)
    agent.api.change(away=True)
    assert agent.converge() == 1
    assert agent.outcomes()["rke2"] == "failed"
    assert agent.runs() == ["rke2"], "asked, and not let go on"
    assert not is_cordoned(agent)


def test_a_run_that_is_killed_in_its_turn_is_told_by_who_followed_it_and_taken_up_again(agent: StagedMachine) -> None:
    agent.stage("rke2", RESTARTS)
    killed: list[str] = []

    def kill(_words: tuple[str, ...]) -> None:
        if not killed:
            killed.append("once")
            raise WentDownError

    agent.api.before("^cordon", kill)
    assert agent.command("ready") == 1
    assert record(agent).turns[NAME].failed == "the run of its stages was killed"
    assert agent.command("ready") == 0
    assert (record(agent).turns, is_cordoned(agent)) == ({}, False)
