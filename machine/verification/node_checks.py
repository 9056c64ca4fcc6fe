"""What the API server says of a node: that it is ready and of this boot, its resources and its labels."""

from collections.abc import Mapping
from typing import Any

from machine.documents.expectations import ExpectedNode
from machine.documents.verification_report import Check

ALLOCATABLE = "allocatable"
"""The check whose reason is found out by `machine.verification.diagnosis`."""
_JOURNAL = "`journalctl -u rke2-server -u rke2-agent`"


def node_checks(
    expected: ExpectedNode, node: Mapping[str, Any] | None, boot_id: str | None, operator_namespace: str
) -> list[Check]:
    """The checks of one node. `node` is its object, None when there is none; `boot_id` None: it is not known here."""
    if node is None:
        remedy = f"On it: `sudo mig-k8s status` and {_JOURNAL}. Is {expected.name} its name?"
        return [Check.of("node", expected.name, "a node of this name", "none", remedy)]
    return [
        _ready(expected.name, node["status"], boot_id),
        _allocatable(expected, node["status"].get("allocatable", {})),
        _labels(expected, node["metadata"].get("labels", {}), operator_namespace),
    ]


def counted(counts: Mapping[str, int]) -> str:
    """Names with their numbers, as people read them."""
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "no GPU resource"


def _ready(name: str, status: Mapping[str, Any], boot_id: str | None) -> Check:
    """A node that was rebooted still counts as ready for most of a minute: its boot id tells."""
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    seen = "ready" if ready.get("status") == "True" else f"not ready: {ready.get('message', 'no condition')}"
    seen_boot = str(status.get("nodeInfo", {}).get("bootID", ""))
    if boot_id is not None and seen_boot != boot_id:
        seen = f"the state of an earlier boot ({seen_boot})"
    remedy = f"{_JOURNAL} on it; DiskPressure and a missing CNI show in the message."
    return Check.of("ready", name, "ready", seen, remedy)


def _allocatable(expected: ExpectedNode, allocatable: Mapping[str, str]) -> Check:
    """Allocatable 0 is the same as none: the kubelet remembers resources whose plugin went away."""
    gpu = {name: int(count) for name, count in allocatable.items() if name.startswith("nvidia.com/")}
    seen = {name: count for name, count in gpu.items() if count}
    wanted = {name: count for name, count in expected.allocatable.items() if count}
    return Check.of(ALLOCATABLE, expected.name, counted(wanted), counted(seen))


def _labels(expected: ExpectedNode, labels: Mapping[str, str], operator_namespace: str) -> Check:
    wrong = {key: labels.get(key) for key, value in expected.labels.items() if labels.get(key) != value}
    everything = f"{len(expected.labels)} labels"
    wanted = ", ".join(f"{key}={expected.labels[key]}" for key in wrong) or everything
    seen = ", ".join(f"{key}={value}" if value is not None else f"no {key}" for key, value in wrong.items())
    logs = f"`kubectl logs -n {operator_namespace} -l app=gpu-feature-discovery`"
    return Check.of("labels", expected.name, wanted, seen or everything, f"GPU Feature Discovery sets them: {logs}.")
