"""The tutorial's mixed node as a verification sees it, and verifications run against it."""

import json
from typing import Any

from a_machine import FIRST_BOOT, NAME, AMachine
from calls import Called, call
from kubernetes_api import Hook
from kubernetes_objects import node, pod_for

from machine.documents.expectations import Expectations
from machine.documents.verification_report import Check, VerificationReport
from machine.host.program import Ended

ALLOCATABLE = {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-1g.10gb": "1"}
LABELS = {"nvidia.com/mig.strategy": "mixed", "nvidia.com/mig.capable": "true"}
# The tutorial's devices.
UUIDS = {
    "3g.40gb": "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c",
    "2g.20gb": "MIG-46602d72-bafb-513e-a79c-03cd078519b4",
    "1g.10gb": "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422",
}
GPU_UUID = "GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b"
GPU = f"GPU 0: NVIDIA A100 80GB PCIe (UUID: {GPU_UUID})\n"
EVERYTHING = GPU + "".join(f"  MIG {p}     Device  {i}: (UUID: {u})\n" for i, (p, u) in enumerate(UUIDS.items()))
IMAGE = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
NAMESPACE = "mig-k8s-verify"
POD_3G, POD_2G, POD_1G = "mig-mixed-3g-40gb-0", "mig-mixed-2g-20gb-0", "mig-mixed-1g-10gb-0"
PODS = {"3g.40gb": POD_3G, "2g.20gb": POD_2G, "1g.10gb": POD_1G}
NO_REQUEST = "no-request-0"
NOTHING = "sh: 1: nvidia-smi: not found\n[Vector addition of 50000 elements]\nmig-verify: compute failed\n"
"""What a pod tells that sees no device."""
NOT_YET = {"phase": "Pending", "conditions": []}
"""A pod that the scheduler has not decided about, and for which no reason is known."""


def log(profile: str | None, uuid: str | None = None, compute: str = "passed") -> str:
    device = f"  MIG {profile}     Device  0: (UUID: {uuid or UUIDS[profile]})\n" if profile else ""
    return f"{GPU}{device}[Vector addition of 50000 elements]\nTest PASSED\nmig-verify: compute {compute}\n"


def expectations(**changes: object) -> str:
    """The expectations as the plan writes them; other keys by `changes`."""
    devices = [{"pod": PODS[p], "resource": f"nvidia.com/mig-{p}", "profile": p, "compute": True} for p in UUIDS]
    wanted = {
        "name": NAME,
        "allocatable": {name: int(count) for name, count in ALLOCATABLE.items()},
        "labels": LABELS,
        "devices": devices,
    }
    whole = {"version": 1, "image": IMAGE, "timeoutSeconds": 60, "namespace": NAMESPACE}
    return json.dumps({**whole, "operatorNamespace": "gpu-operator", "nodes": [wanted], **changes})


def as_it_should_be(machine: AMachine) -> None:
    """The tutorial's mixed node."""
    machine.join()
    machine.says("nvidia-smi", EVERYTHING)
    shows(machine)
    policy_is(machine, "ready")
    machine.api.change(
        logs={NO_REQUEST: NOTHING},
        devices={NAME: {f"nvidia.com/mig-{profile}": [uuid] for profile, uuid in UUIDS.items()}},
        device_logs={uuid: log(profile) for profile, uuid in UUIDS.items()},
    )


def shows(machine: AMachine, **changes: object) -> None:
    """What the API server says of the node."""
    facts: dict[str, Any] = {"boot_id": FIRST_BOOT, "allocatable": ALLOCATABLE, "labels": LABELS, **changes}
    facts["labels"] = {**facts["labels"], "nvidia.com/gpu.deploy.device-plugin": "true"}
    own = (
        []
        if machine.node_name() == NAME
        else [node(str(machine.node_name()), boot_id=FIRST_BOOT, allocatable={}, labels={})]
    )
    machine.api.change(nodes=[node(NAME, **facts), *own])


def policy_is(machine: AMachine, *states: str) -> None:
    """The states of the ClusterPolicies."""
    policies = [{"metadata": {"name": f"policy-{n}"}, "status": {"state": s}} for n, s in enumerate(states)]
    machine.api.change(clusterpolicies=policies)


def says(machine: AMachine, pod: str, text: str) -> None:
    """The log of a pod."""
    policy_is(machine, "ready")
    machine.api.change(logs={**machine.api.objects()["logs"], pod: text})


def hold(machine: AMachine, name: str, resource: str, device: str, node: str = NAME) -> None:
    """A pod of a user's holds a device, by the record of its node's kubelet."""
    objects = machine.api.objects()
    holder = {**pod_for(resource, name, nodeName=node), "status": {"phase": "Running"}}
    objects["resources"]["pods"].append(holder)
    objects["record"].append({"node": node, "uid": f"uid-{name}", "resource": resource, "ids": [device]})
    machine.api.save(objects)


def becomes(machine: AMachine, pod: str, status: dict[str, Any]) -> None:
    """What becomes of a pod instead of running."""
    machine.api.change(statuses={**machine.api.objects()["statuses"], pod: status})


def waits(reason: str, message: str) -> dict[str, Any]:
    """The status of a pod whose container does not start."""
    waiting = {"reason": reason, "message": message}
    return {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}


def called(machine: AMachine, *options: str, seconds: float = 60, **changes: object) -> Called:
    """`mig-k8s verify` with expectations, among them this machine, as a server without a GPU where it is another."""
    wanted = json.loads(expectations(timeoutSeconds=seconds, **changes))
    if machine.node_name() not in [each["name"] for each in wanted["nodes"]]:
        wanted["nodes"].append({"name": machine.node_name(), "allocatable": {}, "labels": {}, "devices": []})
    return call(machine, "verify", *options, stdin=json.dumps(wanted))


def verified(machine: AMachine, seconds: float = 60, **changes: object) -> tuple[int, VerificationReport, str]:
    """Exit code, report, and what people were told."""
    ended = called(machine, "--json", seconds=seconds, **changes)
    assert ended.stdout, ended.stderr
    return ended.status, VerificationReport.from_json(ended.stdout), ended.stderr


def failed(report: VerificationReport) -> list[Check]:
    return [check for check in report.checks if not check.passed]


def left(machine: AMachine) -> list[str]:
    """What lies in the cluster that a verification made, but for a namespace that is being deleted."""
    pods = [pod["metadata"]["name"] for pod in machine.api.listed("pods") if pod["metadata"]["namespace"] == NAMESPACE]
    others = (*machine.api.listed("namespaces"), *machine.api.listed("priorityclasses"))
    return pods + [each["metadata"]["name"] for each in others if "deletionTimestamp" not in each["metadata"]]


def at(machine: AMachine, nth: int, pattern: str, does: Hook) -> None:
    """Let something happen at the nth call of kubectl that matches."""
    machine.api.before(pattern, _nth(nth, does))


def after(machine: AMachine, nth: int, pattern: str, does: Hook) -> None:
    """Let something happen when the nth call of kubectl that matches has been answered."""
    machine.api.after(pattern, _nth(nth, does))


def _nth(number: int, does: Hook) -> Hook:
    seen: list[tuple[str, ...]] = []

    def hook(words: tuple[str, ...]) -> Ended | None:
        seen.append(words)
        return does(words) if len(seen) == number else None

    return hook


def remembered(machine: AMachine) -> list[Expectations]:
    """What the cluster keeps of the last verification, at most one."""
    found = [each for each in machine.api.listed("configmaps") if each["metadata"]["name"] == "mig-k8s-expectations"]
    return [Expectations.from_json(each["data"]["expectations.json"]) for each in found]
