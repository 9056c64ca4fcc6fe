"""The GPU clients of the GPU Operator on a node: paused for a change by their deploy labels, and started again."""

from machine.kubernetes.node import Node

PAUSED = "paused-for-mig-change"
"""MIG Manager's own word, so the GPU Operator understands it."""
DEVICE_PLUGIN = "nvidia-device-plugin-daemonset"
CLIENTS = {
    "nvidia.com/gpu.deploy.device-plugin": DEVICE_PLUGIN,
    "nvidia.com/gpu.deploy.gpu-feature-discovery": "gpu-feature-discovery",
    "nvidia.com/gpu.deploy.dcgm": "nvidia-dcgm",
    "nvidia.com/gpu.deploy.dcgm-exporter": "nvidia-dcgm-exporter",
}
"""Deploy label of each client -> `app` label of its pods."""


def pause(node: Node) -> None:
    """End the GPU clients of a node and wait until they have ended. Raises NodeError."""
    _relabel(node, "true", PAUSED)
    # Also those that a killed run paused: they may still be ending.
    apps = [CLIENTS[label] for label in _with(node, PAUSED)]
    if apps:
        node.wait_for_end(lambda pod: pod["metadata"].get("labels", {}).get("app") in apps, "paused GPU clients")


def start(node: Node) -> None:
    """Start the GPU clients that are paused. Raises NodeError."""
    _relabel(node, PAUSED, "true")


def _relabel(node: Node, before: str, after: str) -> None:
    if labels := _with(node, before):
        node.label(*(f"{label}={after}" for label in labels))


def _with(node: Node, value: str) -> list[str]:
    """The deploy labels of the node that have a value."""
    labels = node.labels()
    return [label for label in CLIENTS if labels.get(label) == value]
