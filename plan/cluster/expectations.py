"""What the cluster must show when everything is right: allocatable, labels and one pod per device.

The table is how device plugin and GPU Feature Discovery v0.20 behave per strategy (facts of NVIDIA/k8s-device-plugin).
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from plan.gpu.catalogue import Profile, vm_sizes
from plan.gpu.layout import Layout
from plan.machine.node import NodePlan

WHOLE_GPU = "nvidia.com/gpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedDevice:
    """A device that one pod must get: a MIG device of `profile`, or a whole GPU (None)."""

    pod: str
    resource: str
    profile: str | None
    compute: bool
    """Whether CUDA can run on it: a GPU in MIG mode without instances is visible but computes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedNode:
    """What the API server must say of one node."""

    name: str
    allocatable: dict[str, int]
    absent: tuple[str, ...]
    labels: dict[str, str]
    devices: tuple[ExpectedDevice, ...]


def expected_nodes(nodes: Iterable[NodePlan], strategy: str) -> tuple[ExpectedNode, ...]:
    """Expectations of every machine; pods are numbered over all machines, so names never collide."""
    numbers: Counter[str] = Counter()
    return tuple(_expected(node, strategy, numbers) for node in nodes)


def _expected(node: NodePlan, strategy: str, numbers: Counter[str]) -> ExpectedNode:
    layout = node.layout
    if layout is None:
        return ExpectedNode(name=node.name, allocatable={}, absent=(WHOLE_GPU,), labels={}, devices=())
    devices = []
    for resource, profile, compute in _advertised(layout, strategy):
        kind = "gpu" if profile is None else re.sub("[.+]", "-", profile)
        devices.append(
            ExpectedDevice(
                pod=f"mig-{strategy}-{kind}-{numbers[kind]}", resource=resource, profile=profile, compute=compute
            )
        )
        numbers[kind] += 1
    allocatable = dict(Counter(device.resource for device in devices))
    known = {WHOLE_GPU, *(profile.resource for profile in layout.model.profiles)}
    return ExpectedNode(
        name=node.name,
        allocatable=allocatable,
        absent=tuple(sorted(known - set(allocatable))),
        labels=_labels(node, layout, strategy),
        devices=tuple(devices),
    )


def _advertised(layout: Layout, strategy: str) -> Iterable[tuple[str, str | None, bool]]:
    """(resource, profile, compute) of every device the plugin offers, in GPU order."""
    for gpu in layout.gpus:
        if not gpu.mode or strategy == "none":
            yield WHOLE_GPU, None, not gpu.mode
            continue
        for instance in gpu.instances:
            profile = layout.profile(instance)
            yield profile.resource if strategy == "mixed" else WHOLE_GPU, profile.name, True


def _labels(node: NodePlan, layout: Layout, strategy: str) -> dict[str, str]:
    labels = {"nvidia.com/mig.capable": "true"}
    if strategy != "none":
        labels["nvidia.com/mig.strategy"] = strategy
    product = vm_sizes()[node.vm.size].product
    divided = [gpu for gpu in layout.gpus if gpu.mode]
    if not divided:
        return labels | _gpu_labels(len(layout.gpus), 1, product)
    instances = Counter(layout.profile(instance) for gpu in layout.gpus for instance in gpu.instances)
    if strategy == "single":
        (profile,) = instances
        suffixed = product and f"{product}-MIG-{profile.label}"
        labels |= _gpu_labels(instances.total(), 1, suffixed)
        return labels | _slices("nvidia.com/gpu", profile)
    if len(divided) == len(layout.gpus):
        labels |= _gpu_labels(len(layout.gpus), 0, product)
    for profile, count in instances.items():
        labels[f"{profile.resource}.count"] = str(count)
        labels |= _slices(profile.resource, profile)
    return labels


def _gpu_labels(count: int, replicas: int, product: str | None) -> dict[str, str]:
    labels = {"nvidia.com/gpu.count": str(count), "nvidia.com/gpu.replicas": str(replicas)}
    return labels | ({"nvidia.com/gpu.product": product} if product else {})


def _slices(prefix: str, profile: Profile) -> dict[str, str]:
    slices = str(profile.compute_slices)
    return {f"{prefix}.slices.gi": slices, f"{prefix}.slices.ci": slices}
