"""The tutorial's mixed node as mig-verify sees it, and mig-verify run against it."""

import json
from pathlib import Path
from typing import Any

from kubernetes_on_machine import Cluster, node
from scripted_machine import FIRST_BOOT, Machine

NAME = "mlops-k8s-master"
ALLOCATABLE = {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-1g.10gb": "1"}
LABELS = {"nvidia.com/mig.strategy": "mixed", "nvidia.com/mig.capable": "true"}
# The tutorial's devices.
UUIDS = {
    "3g.40gb": "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c",
    "2g.20gb": "MIG-46602d72-bafb-513e-a79c-03cd078519b4",
    "1g.10gb": "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422",
}
GPU = "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b)\n"
EVERYTHING = GPU + "".join(f"  MIG {p}     Device  {i}: (UUID: {u})\n" for i, (p, u) in enumerate(UUIDS.items()))


def log(profile: str | None, uuid: str | None = None, compute: str = "passed") -> str:
    device = f"  MIG {profile}     Device  0: (UUID: {uuid or UUIDS[profile]})\n" if profile else ""
    return f"{GPU}{device}[Vector addition of 50000 elements]\nTest PASSED\nmig-verify: compute {compute}\n"


def pod_name(profile: str) -> str:
    name = f"mig-mixed-{profile.replace('.', '-')}"
    return name if name.endswith("-more") else f"{name}-0"


def expectations(**changes: object) -> str:
    devices = [{"pod": pod_name(p), "resource": f"nvidia.com/mig-{p}", "profile": p} for p in UUIDS]
    wanted = {
        "name": NAME,
        "allocatable": {name: int(count) for name, count in ALLOCATABLE.items()},
        "absent": ["nvidia.com/gpu", "nvidia.com/mig-7g.80gb"],
        "labels": LABELS,
        "devices": devices,
    }
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    whole = {"version": 1, "strategy": "mixed", "image": image, "timeoutSeconds": 60, "namespace": "mig-k8s-verify"}
    return json.dumps({**whole, "nodes": [wanted], **changes})


def tutorial_cluster(path: Path) -> Cluster:
    """The tutorial's mixed node, with everything as it should be."""
    machine = Machine(path)
    machine.program("nvidia-smi", f"printf '%s' '{EVERYTHING}'")
    made = Cluster(machine)
    shows(made)
    made.change(reactions={pod_name(profile): {"log": log(profile)} for profile in UUIDS})
    for profile in UUIDS:
        react(made, f"{profile}-0-more", status=waiting(f"nvidia.com/mig-{profile}"))
    return made


def waiting(resource: str) -> dict[str, Any]:
    """The status of a pod for which there is no device."""
    message = f"0/1 nodes are available: 1 Insufficient {resource}. preemption: 0/1 nodes are available."
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


def shows(cluster: Cluster, **changes: object) -> None:
    """What the API server says of the node."""
    facts: dict[str, Any] = {"boot_id": FIRST_BOOT, "allocatable": ALLOCATABLE, "labels": LABELS, **changes}
    facts["labels"] = {**facts["labels"], "nvidia.com/gpu.deploy.device-plugin": "true"}
    cluster.change(nodes=[node(NAME, **facts)])


def verify(
    cluster: Cluster, seconds: float = 60, *, own_process: bool = False, **changes: object
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report, and what it told people."""
    run = cluster.machine.run if own_process else cluster.machine.call
    ended = run("mig-verify", stdin=expectations(timeoutSeconds=seconds, **changes))
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


def react(cluster: Cluster, profile: str, **reaction: object) -> None:
    reactions = cluster.objects()["reactions"]
    cluster.change(reactions={**reactions, pod_name(profile): reaction})


def failed(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in report["checks"] if not check["passed"]]
