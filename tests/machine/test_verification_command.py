"""`mig-k8s verify`: what it prints, the expectations of the last time, and one run at a time."""

import fcntl
import json
import os
import re
import sys
from typing import Any

import pytest
from a_machine import AMachine
from calls import call, command_line
from verified_cluster import as_it_should_be, called, expectations, remembered, shows

from machine.documents.expectations import Expectations
from machine.documents.verification_report import Check, VerificationReport
from machine.host.program import Ended
from machine.verification.report import words

OF_AN_OLDER_RELEASE = "etc/mig-k8s/expectations.json"


def kept(text: str) -> dict[str, Any]:
    """The ConfigMap with these expectations."""
    metadata = {"name": "mig-k8s-expectations", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"expectations.json": text}}


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


def test_a_passed_report_is_json_on_standard_output(machine: AMachine) -> None:
    ended = called(machine)
    assert ended.status == 0
    assert VerificationReport.from_json(ended.stdout).passed is True


def test_a_failed_one_is_told_to_people_and_is_json_only_where_that_is_asked_for(machine: AMachine) -> None:
    shows(machine, labels={"nvidia.com/mig.strategy": "single", "nvidia.com/mig.capable": "true"})
    ended = called(machine, seconds=0)
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[1:-1] == [
        "FAILED labels on mlops-k8s-master",
        "  expected: nvidia.com/mig.strategy=mixed",
        "  seen:     nvidia.com/mig.strategy=single",
        "  do:       GPU Feature Discovery sets them: `kubectl logs -n gpu-operator -l app=gpu-feature-discovery`.",
    ]
    assert re.fullmatch(r"\d+ of \d+ checks passed in 2 s", ended.stderr.splitlines()[-1])
    asked = called(machine, "--json", seconds=0)
    assert asked.status == 1
    assert VerificationReport.from_json(asked.stdout).passed is False


def test_the_last_line_counts_the_checks_that_passed_among_all() -> None:
    good = Check.of("ready", "train", "ready", "ready")
    bad = Check.of("labels", "train", "a=b", "a=c", "Look at it.")
    report = VerificationReport(False, "2026-11-26T10:00:00Z", 12.34, (good, bad, good), ())
    assert words(report).splitlines()[-1] == "2 of 3 checks passed in 12 s"


def test_it_runs_again_with_the_expectations_of_the_last_time(machine: AMachine) -> None:
    called(machine)
    assert remembered(machine) == [Expectations.from_json(expectations())]
    again = call(machine, "verify", "--again")
    assert again.status == 0, again.stderr
    assert len(json.loads(again.stdout)["devices"]) == 3
    shows(machine, labels={"nvidia.com/mig.strategy": "single"})
    called(machine, seconds=0)
    broken = call(machine, "verify", "--again")
    assert broken.status == 1
    assert "expected: nvidia.com/mig.strategy=mixed" in broken.stderr


def test_a_server_that_has_never_verified_knows_what_another_one_verified_last(machine: AMachine) -> None:
    """The load balancer leads `pulumi up` to whichever server lives; a file on each would tell of different times."""
    machine.write(OF_AN_OLDER_RELEASE, expectations(namespace="of-long-ago"), 0o600)
    machine.api.change(configmaps=[kept(expectations(namespace="of-today"))])
    assert call(machine, "verify", "--again").status == 0
    assert "of-today" in " ".join(machine.api.calls())
    assert "of-long-ago" not in " ".join(machine.api.calls())


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
    machine.write(OF_AN_OLDER_RELEASE, json.dumps({**older, "strategy": "mixed"}), 0o600)
    shows(machine, labels={})
    ended = call(machine, "verify", "--again")
    assert ended.status == 1
    assert "`kubectl logs -n gpu-operator -l app=gpu-feature-discovery`" in ended.stderr


def test_what_an_older_release_remembered_is_gone_once_the_cluster_does(machine: AMachine) -> None:
    machine.write(OF_AN_OLDER_RELEASE, expectations(namespace="of-long-ago"), 0o600)
    called(machine)
    assert not machine.path(OF_AN_OLDER_RELEASE).exists()


def test_without_a_last_time_it_says_where_expectations_come_from(machine: AMachine) -> None:
    ended = call(machine, "verify", "--again")
    assert ended.status == 2
    assert ended.stderr == (
        "mig-k8s: this cluster was not verified yet: it has no ConfigMap kube-system/mig-k8s-expectations."
        " `pulumi up` makes it when it verifies\n"
    )


def test_a_memory_that_somebody_has_emptied_is_told(machine: AMachine) -> None:
    machine.api.change(configmaps=[{**kept(""), "data": {"other": ""}}])
    ended = call(machine, "verify", "--again")
    assert ended.status == 2
    assert "the ConfigMap kube-system/mig-k8s-expectations has no 'expectations.json'" in ended.stderr


def test_expectations_that_are_cut_short_are_not_remembered(machine: AMachine) -> None:
    called(machine)
    assert call(machine, "verify", stdin=expectations(namespace="another")[:-40]).status == 2
    assert remembered(machine) == [Expectations.from_json(expectations())]


def test_expectations_that_cannot_be_remembered_are_verified_all_the_same(machine: AMachine) -> None:
    no = Ended(("kubectl",), 1, "", 'Error from server (Forbidden): configmaps is forbidden: User "x" cannot create')
    machine.api.before("apply", lambda _: no)
    machine.write(OF_AN_OLDER_RELEASE, expectations(), 0o600)
    ended = called(machine)
    assert ended.status == 0
    assert "--again will not have these expectations: kubectl apply" in ended.stderr
    assert machine.path(OF_AN_OLDER_RELEASE).exists()


def test_an_unknown_option_is_refused(machine: AMachine) -> None:
    ended = call(machine, "verify", "--agian", stdin=expectations())
    assert ended.status == 2
    assert "unrecognized arguments: --agian" in ended.stderr
    assert machine.api.calls() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the document of expectations is not JSON"),
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


def test_expectations_of_another_cluster_are_refused_and_not_remembered(machine: AMachine) -> None:
    machine.desire(node={"name": "elsewhere"})
    ended = call(machine, "verify", stdin=expectations())
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.startswith("mig-k8s: this machine is elsewhere, and what came is for mlops-k8s-master: nothing")
    assert machine.api.calls() == []


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
