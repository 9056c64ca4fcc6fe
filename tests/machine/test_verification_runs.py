"""How a verification ends, begins again, and shares the machine with itself."""

import contextlib
import fcntl
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from a_machine import AMachine
from calls import call, call_process, command_line
from kubernetes_api import Hook
from mortal_machine import MortalMachine, PowerCut
from verified_cluster import (
    NAMESPACE,
    POD_2G,
    as_it_should_be,
    becomes,
    called,
    expectations,
    failed,
    left,
    shows,
    verified,
    waits,
)

from machine.documents.expectations import Expectations
from machine.documents.verification_report import VerificationReport
from machine.host.program import Ended
from machine.host.signals import SIGNALS

REMEMBERED = "etc/mig-k8s/expectations.json"
NOT_YET = {"phase": "Pending", "conditions": []}
REFUSED = "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?"


@pytest.fixture
def machine(a_machine: AMachine) -> Iterator[AMachine]:
    as_it_should_be(a_machine)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield a_machine
    for number, handler in before.items():
        signal.signal(number, handler)


def at(machine: AMachine, nth: int, pattern: str, does: Hook) -> None:
    """Let something happen at the nth call of kubectl that matches."""
    seen: list[tuple[str, ...]] = []

    def hook(words: tuple[str, ...]) -> Ended | None:
        seen.append(words)
        return does(words) if len(seen) == nth else None

    machine.api.before(pattern, hook)


def signals(number: int) -> Hook:
    def send(_words: tuple[str, ...]) -> None:
        os.kill(os.getpid(), number)

    return send


# ---- what it prints


def test_a_passed_report_is_json_on_standard_output(machine: AMachine) -> None:
    ended = called(machine)
    assert ended.status == 0
    assert VerificationReport.from_json(ended.stdout).passed is True


def test_a_failed_one_is_told_to_people_and_is_json_only_where_that_is_asked_for(machine: AMachine) -> None:
    shows(machine, labels={"nvidia.com/mig.strategy": "single", "nvidia.com/mig.capable": "true"})
    ended = called(machine, seconds=0)
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[1:] == [
        "FAILED labels on mlops-k8s-master",
        "  expected: nvidia.com/mig.strategy=mixed",
        "  seen:     nvidia.com/mig.strategy=single",
        "  do:       GPU Feature Discovery sets them: `kubectl logs -n gpu-operator -l app=gpu-feature-discovery`.",
        "2 of 3 checks passed in 0 s",
    ]
    asked = called(machine, "--json", seconds=0)
    assert asked.status == 1
    assert VerificationReport.from_json(asked.stdout).passed is False


# ---- how it ends


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


def test_an_error_that_heals_within_90_seconds_does_not_end_the_wait(machine: AMachine) -> None:
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


@pytest.mark.parametrize("pattern", ["^delete pods", "^delete namespace"])
def test_a_second_signal_does_not_end_the_clean_up(machine: AMachine, pattern: str) -> None:
    at(machine, 1, "^logs", signals(signal.SIGHUP))
    at(machine, 2 if "namespace" in pattern else 1, pattern, signals(signal.SIGTERM))
    ended = called(machine)
    assert "ended by SIGHUP before it was done; what it made is deleted" in ended.stderr
    assert left(machine) == []


def test_a_first_signal_during_the_clean_up_does_not_end_it(machine: AMachine) -> None:
    at(machine, 1, "^delete pods", signals(signal.SIGTERM))
    assert called(machine).status == 0
    assert left(machine) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["interrupted", "power cut"])
def test_whichever_program_it_ends_at_the_next_run_finds_everything_in_order(
    tmp_path: Path, what: str, when: str
) -> None:
    """Interrupted, it leaves nothing; killed, the next run deletes what it left."""
    machine = MortalMachine.below(tmp_path)
    as_it_should_be(machine)
    assert called(machine).status == 0
    runs = len(machine.api.calls()) + len(machine.calls("nvidia-smi"))
    assert runs == 14
    for at in range(1, runs + 1):
        machine.doom(what, at=at, when=when)
        with contextlib.suppress(PowerCut):
            assert called(machine).status in (0, 1)
            assert left(machine) == [], at
        machine.revive()
        ended = called(machine)
        assert ended.status == 0, (at, ended.stderr)
        assert left(machine) == []


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
    with contextlib.suppress(BrokenPipeError):  # what nobody read
        session.close()
    assert status == 1
    assert 100 < sum(machine.clock.slept) <= 116
    assert left(machine) == []


# ---- Kubernetes that does not answer, or refuses


def test_an_api_that_never_answers_ends_with_its_words_and_without_a_verdict(machine: AMachine) -> None:
    machine.api.change(away=True)
    ended = called(machine, "--json", seconds=5)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"mig-k8s: kubectl get nodes -o: {REFUSED}"
    assert ended.stderr.startswith(
        "·  1 s: kubectl get nodes -o: The connection to the server 127.0.0.1:6443 was refused"
    )


def test_an_api_that_is_away_for_a_while_is_waited_for_with_a_heartbeat(machine: AMachine) -> None:
    machine.api.change(away=True)
    machine.clock.at(40, lambda: machine.api.change(away=False))
    code, _, said = verified(machine)
    assert code == 0
    assert said.count("kubectl get nodes -o: The connection to the server") == 3


def test_an_api_that_goes_away_while_pods_run_is_waited_for(machine: AMachine) -> None:
    becomes(machine, POD_2G, NOT_YET)
    machine.clock.at(10, lambda: machine.api.change(away=True))
    machine.clock.at(40, lambda: machine.api.change(away=False, statuses={}))
    code, _, said = verified(machine)
    assert code == 0, said


def test_pods_are_not_called_stuck_for_the_time_in_which_nothing_is_known_of_them(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ErrImagePull", "no such host"))
    machine.clock.at(10, lambda: machine.api.change(away=True))
    machine.clock.at(110, lambda: machine.api.change(away=False))
    machine.clock.at(150, lambda: machine.api.change(statuses={}))
    code, _, said = verified(machine, seconds=600)
    assert code == 0, said


def test_a_log_that_cannot_be_read_is_asked_for_again_and_told_if_it_never_can(machine: AMachine) -> None:
    words = 'Error from server: Get "https://10.0.0.5:10250/containerLogs/": dial tcp 10.0.0.5:10250: i/o timeout'
    machine.api.before(f"^logs .*{POD_2G}", lambda command: Ended(command, 1, "", words))
    code, report, said = verified(machine, seconds=20)
    assert code == 1
    assert failed(report)[0].name == POD_2G
    assert failed(report)[0].seen.startswith(
        f"{POD_2G}: its log cannot be read: kubectl logs -n {NAMESPACE}: Error from"
    )
    assert said.count("i/o timeout") == 2  # once when it was seen first, once in the failed check


def test_a_log_of_a_moment_too_early_is_no_trouble(machine: AMachine) -> None:
    refusal = 'Error from server (BadRequest): container "device" in pod is waiting to start: ContainerCreating'
    at(machine, 1, "^logs", lambda command: Ended(command, 1, "", refusal))
    assert verified(machine)[0] == 0


def test_a_refusal_is_told_at_once_and_cleaned_up_after(machine: AMachine) -> None:
    refusal = "Error from server (Forbidden): pods is forbidden: exceeded quota"
    at(machine, 2, "^create", lambda command: Ended(command, 1, "", refusal))
    ended = called(machine, "--json")
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == f"mig-k8s: kubectl create -n {NAMESPACE}: {refusal}"
    assert left(machine) == []


def test_a_machine_that_is_no_server_says_so(machine: AMachine) -> None:
    machine.path("etc/rancher/rke2/rke2.yaml").unlink()
    machine.join("agent")
    ended = called(machine)
    assert ended.status == 2
    assert ended.stderr == (
        f"mig-k8s: {machine.root}/etc/rancher/rke2/rke2.yaml is missing: "
        "verification runs on a server, once RKE2 runs there\n"
    )


def test_a_namespace_that_cannot_be_deleted_is_a_failed_check(machine: AMachine) -> None:
    at(machine, 1, "^delete pods", lambda _: machine.api.change(stuck_namespaces=[NAMESPACE]))
    code, report, said = verified(machine)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.node, check.expected) == ("clean up", "", "the namespace is deleted")
    assert "timed out waiting for the condition" in check.seen
    assert check.remedy == f"`kubectl delete namespace {NAMESPACE}` by hand: its pods hold devices."
    assert "FAILED clean up\n" in said


def test_a_clean_up_that_fails_after_a_refusal_is_told_too(machine: AMachine) -> None:
    at(machine, 2, "^create", lambda command: Ended(command, 1, "", "Error from server (Forbidden): no"))
    at(machine, 1, "^delete pods", lambda command: Ended(command, 1, "", REFUSED))
    ended = called(machine)
    assert ended.status == 2
    assert f"`kubectl delete namespace {NAMESPACE}` by hand: its pods hold devices." in ended.stderr


# ---- the expectations of the last time


def test_it_runs_again_with_the_expectations_of_the_last_time(machine: AMachine) -> None:
    called(machine)
    assert machine.mode_of(REMEMBERED) == "0o600"
    assert Expectations.from_json(machine.read(REMEMBERED)) == Expectations.from_json(expectations())
    again = call(machine, "verify", "--again")
    assert again.status == 0, again.stderr
    assert len(json.loads(again.stdout)["devices"]) == 3
    shows(machine, labels={"nvidia.com/mig.strategy": "single"})
    called(machine, seconds=0)
    broken = call(machine, "verify", "--again")
    assert broken.status == 1
    assert "expected: nvidia.com/mig.strategy=mixed" in broken.stderr


def test_at_a_terminal_it_runs_again_without_waiting_for_input(
    machine: AMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    called(machine)
    terminal, end = os.openpty()
    with os.fdopen(terminal), os.fdopen(end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert command_line(machine, ["verify"]) == 0


def test_expectations_that_an_older_release_remembered_are_understood(machine: AMachine) -> None:
    older = json.loads(expectations())
    del older["operatorNamespace"]
    older["nodes"][0]["absent"] = ["nvidia.com/gpu"]
    machine.write(REMEMBERED, json.dumps({**older, "strategy": "mixed"}), 0o600)
    shows(machine, labels={})
    ended = call(machine, "verify", "--again")
    assert ended.status == 1
    assert "`kubectl logs -n gpu-operator -l app=gpu-feature-discovery`" in ended.stderr


def test_without_a_last_time_it_says_where_expectations_come_from(machine: AMachine) -> None:
    ended = call(machine, "verify", "--again")
    assert ended.status == 2
    assert ended.stderr == (
        f"mig-k8s: {machine.root}/{REMEMBERED}: No such file or directory. "
        "`pulumi up` leaves it on the first server when it verifies; it takes sudo\n"
    )


def test_expectations_that_are_cut_short_are_not_remembered(machine: AMachine) -> None:
    called(machine)
    before = machine.read(REMEMBERED)
    assert call(machine, "verify", stdin=expectations(namespace="another")[:-40]).status == 2
    assert machine.read(REMEMBERED) == before


def test_expectations_that_cannot_be_remembered_are_verified_all_the_same(machine: AMachine) -> None:
    machine.path("etc/mig-k8s/expectations.json").mkdir()
    ended = called(machine)
    assert ended.status == 0
    assert "--again will not have these expectations: cannot write" in ended.stderr


def test_an_unknown_option_is_refused(machine: AMachine) -> None:
    ended = call(machine, "verify", "--agian", stdin=expectations())
    assert ended.status == 2
    assert "unrecognized arguments: --agian" in ended.stderr
    assert machine.api.calls() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the document of expectations is no JSON"),
        ('{"version": 3}', "has version 3, this release of mig-k8s understands 1"),
        ('{"version": 1, "image": "i"}', "the document of expectations: timeoutSeconds is missing"),
        (expectations(later=1), "this release of mig-k8s does not know later"),
        (expectations(timeoutSeconds="soon"), "timeoutSeconds: a number is expected"),
    ],
)
def test_expectations_that_are_none_are_told_without_a_traceback(machine: AMachine, text: str, said: str) -> None:
    ended = call(machine, "verify", stdin=text)
    assert ended.status == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


# ---- one at a time


def test_a_second_run_waits_for_the_first(machine: AMachine) -> None:
    with machine.write("run/mig-verify.lock", "").open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        machine.clock.at(30, lambda: fcntl.flock(first, fcntl.LOCK_UN))
        asked_at: list[float] = []
        machine.api.before("", lambda _: asked_at.append(sum(machine.clock.slept)))
        ended = called(machine)
    assert ended.status == 0
    assert asked_at[0] == pytest.approx(30)
    assert ended.stderr.splitlines()[0] == "·  another verification runs here: waiting for its end"
    assert ended.stderr.count("another verification") == 1


def test_a_second_run_gives_up_when_the_first_does_not_end(machine: AMachine) -> None:
    with machine.write("run/mig-verify.lock", "").open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        ended = called(machine)
    assert ended.status == 2
    assert ended.stderr.splitlines()[-1] == (
        "mig-k8s: another verification runs here and does not end; "
        f"`sudo fuser -k -TERM {machine.root}/run/mig-verify.lock` ends it"
    )
    assert 60 < sum(machine.clock.slept) < 62
    assert machine.api.calls() == []


def test_the_lock_is_free_again_after_a_run(machine: AMachine) -> None:
    called(machine)
    with machine.path("run/mig-verify.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
