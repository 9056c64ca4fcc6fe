"""What the cluster must show when everything is right: allocatable, labels and one pod per device.

The table is how device plugin and GPU Feature Discovery v0.20 behave per strategy (facts of NVIDIA/k8s-device-plugin).
"""

import re
from collections import Counter
from collections.abc import Iterable

from machine.documents.expectations import ExpectedDevice, ExpectedNode
from plan.cluster.sharing import Sharing
from plan.gpu.catalogue import Profile, vm_sizes
from plan.gpu.layout import Layout
from plan.machine.node import NodePlan

WHOLE_GPU = "nvidia.com/gpu"


def expected_nodes(nodes: Iterable[NodePlan], strategy: str, shared: Sharing) -> tuple[ExpectedNode, ...]:
    """Expectations of every machine; pods are numbered over all machines, so names never collide."""
    numbers: Counter[str] = Counter()
    return tuple(_expected(node, strategy, shared, numbers) for node in nodes)


def _expected(node: NodePlan, strategy: str, shared: Sharing, numbers: Counter[str]) -> ExpectedNode:
    layout = node.layout
    if layout is None:
        return ExpectedNode(name=node.name, allocatable={}, labels={}, devices=())
    devices = []
    for resource, profile, compute in _advertised(layout, strategy):
        kind = "gpu" if profile is None else re.sub("[.+]", "-", profile)
        for _ in range(shared.of(resource)):
            devices.append(
                ExpectedDevice(
                    pod=f"mig-{strategy}-{kind}-{numbers[kind]}",
                    resource=shared.name(resource),
                    profile=profile,
                    compute=compute,
                    replicas=shared.of(resource),
                )
            )
            numbers[kind] += 1
    allocatable = dict(Counter(device.resource for device in devices))
    return ExpectedNode(
        name=node.name,
        allocatable=allocatable,
        labels=_labels(node, layout, strategy, shared),
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


def _labels(node: NodePlan, layout: Layout, strategy: str, shared: Sharing) -> dict[str, str]:
    labels = {"nvidia.com/mig.capable": "true"}
    if strategy != "none":
        labels["nvidia.com/mig.strategy"] = strategy
    product = vm_sizes()[node.vm.size].product
    divided = [gpu for gpu in layout.gpus if gpu.mode]
    if not divided:
        return labels | _gpu_labels(len(layout.gpus), shared, product)
    instances = Counter(layout.profile(instance) for gpu in layout.gpus for instance in gpu.instances)
    if strategy == "single":
        (profile,) = instances
        suffixed = product and f"{product}-MIG-{profile.label}"
        labels |= _gpu_labels(instances.total(), shared, suffixed)
        return labels | _slices("nvidia.com/gpu", profile)
    if len(divided) == len(layout.gpus):
        labels |= _gpu_labels(len(layout.gpus), None, product)
    for profile, count in instances.items():
        labels[f"{profile.resource}.count"] = str(count)
        if shared.of(profile.resource) > 1:
            labels[f"{profile.resource}.replicas"] = str(shared.of(profile.resource))
        labels |= _slices(profile.resource, profile)
    return labels


def _gpu_labels(count: int, shared: Sharing | None, product: str | None) -> dict[str, str]:
    """The labels of a node's whole GPUs. `shared` is None where all are divided, so that no pod gets a whole one."""
    replicas = shared.of(WHOLE_GPU) if shared else 0
    labels = {"nvidia.com/gpu.count": str(count), "nvidia.com/gpu.replicas": str(replicas)}
    if not product:
        return labels
    return labels | {"nvidia.com/gpu.product": shared.product(WHOLE_GPU, product) if shared else product}


def _slices(prefix: str, profile: Profile) -> dict[str, str]:
    slices = str(profile.compute_slices)
    return {f"{prefix}.slices.gi": slices, f"{prefix}.slices.ci": slices}
