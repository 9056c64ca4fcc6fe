"""What a verification says of a pod that requests nothing and asks for every device, and of the GPU Operator itself."""

import json

import pytest
from a_machine import NAME, AMachine
from kubernetes_objects import node
from verified_cluster import (
    EVERYTHING,
    GPU,
    NO_REQUEST,
    NOTHING,
    as_it_should_be,
    becomes,
    expectations,
    failed,
    left,
    log,
    policy_is,
    says,
    verified,
    waits,
)

COMPUTED = "mig-verify: compute passed\n"


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (EVERYTHING + COMPUTED, "every device"),
        (log("3g.40gb"), "MIG device 3g.40gb: 1"),
        (GPU + "mig-verify: compute failed\n", "1 GPUs without MIG devices"),
        ("sh: 1: nvidia-smi: not found\n" + COMPUTED, "a device that CUDA computes on"),
    ],
)
def test_a_pod_that_requests_nothing_and_sees_a_device_is_a_failure_with_its_remedy(
    machine: AMachine, text: str, seen: str
) -> None:
    says(machine, NO_REQUEST, text)
    code, report, _ = verified(machine)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.node, check.expected, check.seen) == ("isolation", NAME, "no device", seen)
    assert check.remedy == (
        "Any pod gets every device of the node by NVIDIA_VISIBLE_DEVICES=all: write"
        " accept-nvidia-visible-devices-envvar-when-unprivileged = false at the top of"
        " /etc/nvidia-container-runtime/config.toml there; the toolkit stage does that (`sudo mig-k8s converge` there)."
        " Pods that need the old behaviour: toolkit.deviceListFromEnvironment."
    )
    assert left(machine) == []


def test_a_stack_that_lets_pods_name_devices_is_verified_as_such(machine: AMachine) -> None:
    code, report, _ = verified(machine, deviceListFromEnvironment=True)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.expected, check.seen) == ("isolation", "every device", "no device")
    assert "accept-nvidia-visible-devices-envvar-when-unprivileged must be true" in check.remedy
    says(machine, NO_REQUEST, EVERYTHING + COMPUTED)
    assert verified(machine, deviceListFromEnvironment=True)[0] == 0


def test_where_no_gpu_computes_nothing_is_asked_of_a_pod_that_names_all_devices(machine: AMachine) -> None:
    """A GPU in MIG mode without instances is not among "all": neither to see it nor not to proves anything."""
    (expected,) = json.loads(expectations())["nodes"]
    idle = {**expected, "devices": [{**device, "compute": False} for device in expected["devices"]]}
    _, report, _ = verified(machine, nodes=[idle], deviceListFromEnvironment=True)
    assert "isolation" not in [check.name for check in report.checks]
    _, report, _ = verified(machine, nodes=[idle])
    assert "isolation" in [check.name for check in report.checks]


def test_an_isolation_that_cannot_be_tried_is_not_taken_for_one(machine: AMachine) -> None:
    becomes(machine, NO_REQUEST, waits("RunContainerError", "insufficient privileges"))
    code, report, _ = verified(machine)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.seen) == ("isolation", f"{NO_REQUEST}: RunContainerError: insufficient privileges")


def test_isolation_has_its_time_also_when_the_devices_took_all_of_it(machine: AMachine) -> None:
    becomes(machine, NO_REQUEST, {"phase": "Pending", "conditions": []})
    machine.clock.at(70, lambda: machine.api.change(statuses={}))
    machine.api.before("^logs .*3g-40gb", lambda _: machine.clock.sleep(55))
    assert verified(machine, seconds=60)[0] == 0


def test_a_node_without_devices_is_not_asked_for_isolation(machine: AMachine) -> None:
    plain = {"name": NAME, "allocatable": {}, "labels": {}, "devices": []}
    machine.api.change(clusterpolicies=[])
    _, report, _ = verified(machine, nodes=[plain])
    assert not {"isolation", "ClusterPolicy"} & {check.name for check in report.checks}


# ---- the operator


def test_an_operator_that_is_not_ready_is_waited_for(machine: AMachine) -> None:
    policy_is(machine, "notReady")
    machine.clock.at(20, lambda: policy_is(machine, "ignored", "ready"))
    code, _, said = verified(machine, seconds=60)
    assert code == 0, said
    assert "s: the cluster: ClusterPolicy is notReady\n" in said


@pytest.mark.parametrize(
    ("states", "seen"),
    [
        (("notReady",), "notReady"),
        ((), "no ClusterPolicy"),
        (("ignored",), "no ClusterPolicy"),
        (("",), "without a state"),
    ],
)
def test_an_operator_that_never_gets_ready_is_a_failure_whatever_the_nodes_show(
    machine: AMachine, states: tuple[str, ...], seen: str
) -> None:
    policy_is(machine, *states)
    code, report, _ = verified(machine, seconds=5)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.node, check.expected, check.seen) == ("ClusterPolicy", "", "ready", seen)
    assert check.remedy.startswith("`kubectl get pods -n gpu-operator -o wide` shows what is not ready")
    assert NOTHING not in report.to_json()


def test_a_dead_machine_that_goes_from_the_stack_keeps_no_verification_waiting(machine: AMachine) -> None:
    """Its Node is deleted after it, and until then the operator waits for pods there."""
    policy_is(machine, "notReady")
    gone = node("train", "b1", {}, {}, ready="Unknown")
    machine.api.change(nodes=[*machine.api.listed("nodes"), gone])
    code, report, said = verified(machine, seconds=5)
    assert code == 0, said
    (check,) = [check for check in report.checks if check.name == "ClusterPolicy"]
    assert check.seen == "not checked: train does not answer and is not verified"


def test_a_machine_that_goes_and_answers_excuses_no_operator(machine: AMachine) -> None:
    policy_is(machine, "notReady")
    machine.api.change(nodes=[*machine.api.listed("nodes"), node("train", "b1", {}, {})])
    code, report, _ = verified(machine, seconds=5)
    assert code == 1
    assert [check.name for check in failed(report)] == ["ClusterPolicy"]


def test_a_cluster_without_the_operator_fails_the_check_and_not_the_verification(machine: AMachine) -> None:
    machine.api.save({**machine.api.objects(), "resources": _without_policies(machine)})
    code, report, _ = verified(machine, seconds=5)
    assert code == 1
    (check,) = failed(report)
    assert check.name == "ClusterPolicy"
    assert "the server doesn't have a resource type" in check.seen


def _without_policies(machine: AMachine) -> dict[str, object]:
    resources = machine.api.objects()["resources"]
    return {name: listed for name, listed in resources.items() if name != "clusterpolicies"}
