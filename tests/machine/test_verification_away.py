"""What a verification makes of a machine of which Azure says that it does not run."""

import json

import pytest
from a_machine import NAME, AMachine
from calls import call
from kubernetes_objects import node
from verified_cluster import LABELS, as_it_should_be, called, expectations, failed, policy_is, remembered, verified

from machine.documents.verification_report import Check

REMEDY = "`az vm start --resource-group rg --name train`, then `pulumi up` does what waits."
TRAIN = {
    "name": "train",
    "allocatable": {"nvidia.com/mig-2g.20gb": 1},
    "labels": LABELS,
    "devices": [{"pod": "mig-mixed-2g-20gb-1", "resource": "nvidia.com/mig-2g.20gb", "profile": "2g.20gb"}],
    "away": {"seen": "deallocated", "remedy": REMEDY},
}


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    """Beside it in the cluster is train, which does not answer."""
    as_it_should_be(a_machine)
    gone = node("train", "b1", {}, {}, ready="Unknown")
    a_machine.api.change(nodes=[*a_machine.api.listed("nodes"), gone])
    return a_machine


@pytest.fixture
def nodes() -> list[object]:
    """What is expected of both."""
    return [*json.loads(expectations())["nodes"], TRAIN]


def test_it_fails_for_that_machine_alone_and_all_others_are_proven(machine: AMachine, nodes: list[object]) -> None:
    code, report, said = verified(machine, nodes=nodes)
    assert code == 1
    assert failed(report) == [Check("machine", "train", "running", "deallocated", REMEDY, False)]
    assert [device.node for device in report.devices] == [NAME, NAME, NAME]
    assert f"FAILED machine on train\n  expected: running\n  seen:     deallocated\n  do:       {REMEDY}\n" in said
    assert report.seconds < 60, "it was waited for"


def test_the_operator_need_not_be_ready_on_a_machine_that_does_not_run(machine: AMachine, nodes: list[object]) -> None:
    policy_is(machine, "notReady")
    _, report, _ = verified(machine, nodes=nodes)
    assert [check.node for check in failed(report)] == ["train"]


def test_the_next_time_is_not_told_that_a_machine_was_away(machine: AMachine, nodes: list[object]) -> None:
    assert called(machine, nodes=nodes).status == 1
    (kept,) = remembered(machine)
    assert [each.away for each in kept.nodes] == [None, None]
    again = call(machine, "verify", "--again")
    assert "FAILED ready on train" in again.stderr
    assert "FAILED machine" not in again.stderr
