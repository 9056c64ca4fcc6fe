"""A verification whose API server is away, refuses, or cannot delete what was made."""

import re

import pytest
from a_machine import AMachine
from kubernetes_api import REFUSED
from verified_cluster import (
    NAMESPACE,
    NOT_YET,
    POD_1G,
    POD_2G,
    after,
    as_it_should_be,
    at,
    becomes,
    called,
    failed,
    left,
    shows,
    verified,
    waits,
)

from machine.host.program import Ended

CHANGE = "^(apply|create|delete) "
CHANGES = 12
"""That a verification asks for: kept expectations, what a killed run left, namespace and class, admission three times,
the image, pods with devices, pods without, a pod too many, and the deletion of pods and namespace."""


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


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


def test_a_verification_asks_for_as_many_changes_as_the_next_tests_disturb(machine: AMachine) -> None:
    assert verified(machine)[0] == 0
    assert len([call for call in machine.api.calls() if re.search(CHANGE, call.removeprefix("kubectl "))]) == CHANGES


@pytest.mark.parametrize("nth", range(1, CHANGES + 1))
def test_a_change_that_reaches_no_api_is_asked_for_again(machine: AMachine, nth: int) -> None:
    at(machine, nth, CHANGE, lambda command: Ended(command, 1, "", REFUSED))
    code, _, said = verified(machine)
    assert code == 0, said
    assert left(machine) == []


@pytest.mark.parametrize("nth", range(1, CHANGES + 1))
def test_a_change_whose_answer_is_lost_is_not_taken_for_somebody_elses(machine: AMachine, nth: int) -> None:
    lost = "Error from server: etcdserver: request timed out"
    after(machine, nth, CHANGE, lambda command: Ended(command, 1, "", lost))
    code, _, said = verified(machine)
    assert code == 0, said
    assert left(machine) == []


THERE = f'Error from server (AlreadyExists): error when creating "STDIN": pods "{POD_1G}" already exists'
OVER_QUOTA = 'Error from server (Forbidden): error when creating "STDIN": exceeded quota'


@pytest.mark.parametrize("answers", [(THERE,), (REFUSED, f"{THERE}\n{OVER_QUOTA}")], ids=["others", "half ours"])
def test_pods_that_are_there_are_ours_only_where_an_answer_was_lost_and_nothing_else_is_refused(
    machine: AMachine, answers: tuple[str, ...]
) -> None:
    left_to_say = list(answers)

    def hook(command: tuple[str, ...]) -> Ended | None:
        is_for_devices = len(machine.api.calls("kubectl create")) >= 6  # CHANGES says what comes before
        return Ended(command, 1, "", left_to_say.pop(0)) if is_for_devices and left_to_say else None

    machine.api.before("^create", hook)
    ended = called(machine)
    assert ended.status == 2
    assert "AlreadyExists" in ended.stderr.splitlines()[-1]


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


def test_a_log_that_is_read_a_moment_too_early_is_not_a_failure(machine: AMachine) -> None:
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


def test_a_machine_that_is_not_a_server_says_so(machine: AMachine) -> None:
    machine.path("etc/rancher/rke2/rke2.yaml").unlink()
    machine.join("agent")
    ended = called(machine)
    assert ended.status == 2
    assert ended.stderr == (
        f"mig-k8s: {machine.root}/etc/rancher/rke2/rke2.yaml is missing: "
        "verification runs on a server, once RKE2 runs there\n"
    )


def test_pods_that_cannot_be_deleted_are_a_failed_check(machine: AMachine) -> None:
    machine.api.change(stuck=[POD_1G])
    code, report, said = verified(machine)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.node, check.expected) == ("clean up", "", "the pods are deleted")
    assert f"timed out waiting for the condition on pods/{POD_1G}" in check.seen
    assert check.remedy == f"`kubectl delete namespace {NAMESPACE}` by hand: its pods hold devices."
    assert "FAILED clean up\n" in said


def test_a_dead_node_gets_no_pod_for_which_the_clean_up_would_wait_in_vain(machine: AMachine) -> None:
    shows(machine, ready="Unknown")
    code, report, _ = verified(machine, seconds=5)
    assert code == 1
    assert [check.name for check in failed(report)] == ["ready"]
    assert machine.api.calls("kubectl create") == []


def test_a_node_that_becomes_ready_pulls_the_image_from_then_on(machine: AMachine) -> None:
    shows(machine, ready="Unknown")
    calls: list[int] = []

    def comes() -> None:
        calls.append(len(machine.api.calls("kubectl create")))
        shows(machine)

    machine.clock.at(10, comes)
    assert verified(machine)[0] == 0
    assert calls == [0]


def test_a_namespace_of_an_earlier_run_that_cannot_be_deleted_ends_the_next_one(machine: AMachine) -> None:
    machine.api.change(namespaces=[{"metadata": {"name": NAMESPACE}}], stuck_namespaces=[NAMESPACE])
    ended = called(machine, "--json")
    assert (ended.status, ended.stdout) == (2, "")
    assert f"timed out waiting for the condition on namespaces/{NAMESPACE}" in ended.stderr


def test_a_clean_up_that_fails_after_a_refusal_is_told_too(machine: AMachine) -> None:
    at(machine, 2, "^create", lambda command: Ended(command, 1, "", "Error from server (Forbidden): no"))
    machine.api.before("^delete pods", lambda command: Ended(command, 1, "", REFUSED))
    ended = called(machine)
    assert ended.status == 2
    assert f"`kubectl delete namespace {NAMESPACE}` by hand: its pods hold devices." in ended.stderr
