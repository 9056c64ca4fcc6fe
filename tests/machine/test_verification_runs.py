"""How a verification ends: in time, at its bound, by a signal, or because nobody listens any more."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from a_machine import AMachine
from calls import call_process, command_line
from killable_machine import KillableMachine, PowerCut
from kubernetes_api import Hook
from verified_cluster import (
    NOT_YET,
    POD_2G,
    as_it_should_be,
    at,
    becomes,
    called,
    expectations,
    failed,
    left,
    shows,
    verified,
    waits,
)

from machine.documents.verification_report import VerificationReport
from machine.host import signals as signals_of_the_host
from machine.host.signals import SIGNALS
from machine.verification import run


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


def signals(number: int) -> Hook:
    def send(_words: tuple[str, ...]) -> None:
        os.kill(os.getpid(), number)

    return send


def test_labels_and_allocatable_that_come_late_are_waited_for(machine: AMachine) -> None:
    shows(machine, allocatable={}, labels={})
    machine.clock.at(20, lambda: shows(machine))
    code, _, said = verified(machine)
    assert code == 0
    assert "allocatable is no GPU resource" in said
    assert "20 s: all nodes show what is expected" in said


def test_a_node_that_is_late_is_given_up_when_the_time_is_over(machine: AMachine) -> None:
    shows(machine, allocatable={})
    machine.clock.at(61, lambda: shows(machine))
    code, report, _ = verified(machine, seconds=60)
    assert code == 1
    assert report.seconds == 60


def test_a_pod_that_tells_late_is_waited_for_until_the_time_is_over(machine: AMachine) -> None:
    becomes(machine, POD_2G, NOT_YET)
    machine.clock.at(50, lambda: machine.api.change(statuses={}))
    assert verified(machine, seconds=60)[0] == 0
    assert len(machine.api.calls("kubectl logs")) == 4  # each once: the others' are not read again meanwhile
    becomes(machine, POD_2G, NOT_YET)
    code, report, _ = verified(machine, seconds=40)
    assert code == 1
    check = failed(report)[0]
    assert (check.name, check.expected, check.seen) == (POD_2G, "runs", f"{POD_2G}: nothing in its log")
    assert check.remedy == "`kubectl describe pod` while the verification runs tells more."


def test_pods_that_show_nothing_but_errors_are_given_up_after_90_seconds(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ImagePullBackOff", "no such host"))
    code, report, _ = verified(machine, seconds=1200)
    assert code == 1
    assert 90 < report.seconds < 95


def test_a_container_that_is_being_created_for_long_is_not_an_error(machine: AMachine) -> None:
    """An image of gigabytes."""
    becomes(machine, POD_2G, waits("ContainerCreating", ""))
    machine.clock.at(150, lambda: machine.api.change(statuses={}))
    code, _, said = verified(machine, seconds=600)
    assert code == 0, said


def test_an_error_that_ends_within_90_seconds_does_not_end_the_wait(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ErrImagePull", "no such host"))
    machine.clock.at(80, lambda: machine.api.change(statuses={POD_2G: NOT_YET}))
    machine.clock.at(85, lambda: machine.api.change(statuses={POD_2G: waits("ErrImagePull", "no such host")}))
    machine.clock.at(160, lambda: machine.api.change(statuses={}))
    assert verified(machine, seconds=1200)[0] == 0


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize(("nth", "pattern"), [(1, "^create"), (2, "^create"), (1, "^logs"), (3, "^create")])
def test_ended_by_a_signal_it_deletes_what_it_made(machine: AMachine, number: int, nth: int, pattern: str) -> None:
    at(machine, nth, pattern, signals(number))
    ended = called(machine)
    assert ended.status == 1
    words = f"ended by {signal.Signals(number).name} before it was done; what it made is deleted"
    assert ended.stderr.splitlines()[-1] == f"verify: {words}"
    assert ended.stdout == ""
    assert left(machine) == []
    assert len(machine.api.calls("kubectl delete pods")) == 1


@pytest.mark.parametrize("pattern", ["^delete pods", "^delete namespace"])
def test_a_second_signal_does_not_end_the_clean_up(machine: AMachine, pattern: str) -> None:
    at(machine, 1, "^logs", signals(signal.SIGHUP))
    at(machine, 2 if "namespace" in pattern else 1, pattern, signals(signal.SIGTERM))
    ended = called(machine)
    assert "ended by SIGHUP before it was done; what it made is deleted" in ended.stderr
    assert left(machine) == []


def test_a_signal_on_the_way_to_the_clean_up_does_not_keep_it_from_being_done(
    machine: AMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[int] = []

    @contextlib.contextmanager
    def ignored() -> Iterator[None]:
        entered.append(1)
        if len(entered) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        with signals_of_the_host.ignored():
            yield

    monkeypatch.setattr(run, "ignored", ignored)
    ended = called(machine)
    assert ended.status == 1
    assert "ended by SIGTERM before it was done; what it made is deleted" in ended.stderr
    assert left(machine) == []


def test_a_first_signal_during_the_clean_up_does_not_end_it(machine: AMachine) -> None:
    at(machine, 1, "^delete pods", signals(signal.SIGTERM))
    assert called(machine).status == 0
    assert left(machine) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["interrupted", "power cut"])
def test_whichever_program_it_ends_at_the_next_run_finds_everything_in_order(
    tmp_path: Path, what: str, when: str
) -> None:
    """Interrupted, it leaves nothing; killed, the next run deletes what it left."""
    machine = KillableMachine.below(tmp_path)
    as_it_should_be(machine)
    assert called(machine).status == 0
    runs = len(machine.api.calls()) + len(machine.calls("nvidia-smi"))
    assert runs == 26
    proven = machine.api.objects()
    for nth in range(1, runs + 1):
        machine.api.save(proven)  # else the kubelet's record, which keeps pods that are gone, would grow with every end
        machine.doom(what, at=nth, when=when)
        with contextlib.suppress(PowerCut):
            assert called(machine).status in (0, 1)
            assert left(machine) == [], nth
        machine.revive()
        ended = called(machine)
        assert ended.status == 0, (nth, ended.stderr)
        assert left(machine) == []


@pytest.mark.exhaustive
def test_as_a_process_of_its_own_it_ends_by_a_signal_and_leaves_nothing(machine: AMachine) -> None:
    ended = call_process(machine, "verify", stdin=expectations())
    assert ended.status == 0
    assert VerificationReport.from_json(ended.stdout).passed is True
    fate = {"what": "SIGTERM", "matching": "kubectl .* logs ", "at": 1, "when": "before"}
    ended = call_process(machine, "verify", stdin=expectations(), fate=fate)
    assert (ended.status, ended.stdout) == (1, "")
    assert "verify: ended by SIGTERM before it was done; what it made is deleted\n" in ended.stderr
    assert left(machine) == []


def test_a_signal_before_anything_is_made_leaves_the_cluster_as_it_is(machine: AMachine) -> None:
    at(machine, 1, "^get nodes", signals(signal.SIGTERM))
    assert called(machine).status == 1
    assert machine.api.calls("kubectl delete") == []


def test_a_session_that_is_cut_ends_it_at_the_next_heartbeat_and_nothing_is_left(
    machine: AMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    becomes(machine, POD_2G, NOT_YET)
    reading, writing = os.pipe()
    session = os.fdopen(writing, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(expectations(timeoutSeconds=600)))
    machine.clock.at(100, lambda: os.close(reading))
    with contextlib.redirect_stderr(session):
        status = command_line(machine, ["verify"])
    with contextlib.suppress(BrokenPipeError):  # the rest of the output, which was not read
        session.close()
    assert status == 1
    assert 100 < sum(machine.clock.slept) <= 116
    assert left(machine) == []
