"""A plan as data: what `show --json` prints (docs/plan-json.md) and the drawings are made from."""

from collections.abc import Iterator
from typing import Any

from machine.documents.expectations import ExpectedNode
from machine.documents.layout import GpuLayout
from machine.placement import creatable
from plan.cluster.expectations import expected_nodes
from plan.cluster.mig_manager import mig_parted_config
from plan.gpu.catalogue import vm_sizes
from plan.gpu.layout import Layout
from plan.machine.desired_state import runs_fabric_manager
from plan.machine.node import NodePlan
from plan.machine.user_data import LIMIT_BYTES, user_data_bytes
from plan.secret_values import NOT_SHOWN, unmarked
from plan.stack import StackPlan


def summary(stack: StackPlan) -> dict[str, Any]:
    """The whole plan of a stack as JSON data, version 2."""
    expected = {node.name: node for node in expected_nodes(stack.nodes, stack.mig_strategy, stack.sharing)}
    operator = stack.gpu_operator
    return {
        "version": 2,
        "location": stack.location,
        "mig": {"strategy": stack.mig_strategy, "owner": stack.mig_owner},
        "network": {
            "cidr": stack.network.cidr,
            "subnetCidr": stack.network.subnet_cidr,
            "adminCidrs": list(stack.network.admin_cidrs),
            "dnsLabel": stack.network.dns_label,
        },
        "nodes": [_node(node, expected[node.name]) for node in stack.nodes],
        "gpuOperator": {
            "chart": operator.chart,
            "repository": operator.repository,
            "version": operator.version,
            "namespace": operator.namespace,
            "values": unmarked(operator.values, lambda _: NOT_SHOWN),
            "reasons": operator.reasons,
            "timeoutSeconds": operator.timeout_seconds,
        },
        "migPartedConfig": mig_parted_config(stack.nodes) if stack.mig_owner == "operator" else None,
        "verification": stack.verification is not None,
        "askAzure": list(questions(stack)),
        "warnings": [
            {"path": each.path, "value": each.value, "what": each.what, "remedy": each.remedy}
            for each in stack.warnings
        ],
    }


def questions(stack: StackPlan) -> Iterator[dict[str, str]]:
    """What only Azure knows, and the command that asks it. A table of each location's sizes would soon be wrong."""
    cores: dict[str, int] = {}
    for node in stack.nodes:
        cores[node.vm.size] = cores.get(node.vm.size, 0) + vm_sizes()[node.vm.size].vcpus
    for size, count in cores.items():
        yield {
            "question": f"Is {size} sold in {stack.location}, to this subscription?",
            "command": f"az vm list-skus --location {stack.location} --size {size} --all --output table",
        }
        spot = " spot" if any(node.vm.spot for node in stack.nodes if node.vm.size == size) else ""
        yield {
            "question": f"Are {count}{spot} vCPUs left in the quota for {size}?",
            "command": f"az vm list-usage --location {stack.location} --output table",
        }


def _node(node: NodePlan, expected: ExpectedNode) -> dict[str, Any]:
    layout = node.layout
    return {
        "name": node.name,
        "role": node.role,
        "vmSize": node.vm.size,
        "userDataBytes": user_data_bytes(node),
        "userDataLimitBytes": LIMIT_BYTES,
        "fabricManager": runs_fabric_manager(node),
        "reboots": reboots(node),
        "gpus": [_gpu(layout, gpu) for gpu in layout.gpus] if layout else [],
        "allocatable": expected.allocatable,
        "labels": expected.labels,
        "pods": [
            {"name": device.pod, "resource": device.resource, "profile": device.profile, "compute": device.compute}
            for device in expected.devices
        ],
    }


def _gpu(layout: Layout, gpu: GpuLayout) -> dict[str, Any]:
    model = layout.model
    instances: list[dict[str, Any]] = []
    for instance in gpu.instances:
        profile = layout.profile(instance)
        instances.append(
            {
                "profile": profile.name,
                "id": profile.id,
                "start": instance.start,
                "size": profile.memory_slices,
                "computeSlices": profile.compute_slices,
                "multiprocessors": profile.multiprocessors,
                "resource": profile.resource,
            }
        )
    used = sum(instance["computeSlices"] for instance in instances)
    taken = {slot for each in instances for slot in range(each["start"], each["start"] + each["size"])}
    left = zip(model.profiles, creatable(model.profiles, gpu.instances), strict=True)
    return {
        "index": gpu.index,
        "model": model.name,
        "mode": gpu.mode,
        "computeSlices": model.compute_slices,
        "memorySlots": model.memory_slots,
        "instances": instances,
        "spare": {
            "computeSlices": model.compute_slices - used,
            "memorySlots": [slot for slot in range(model.memory_slots) if slot not in taken],
            "creatable": {profile.name: count for profile, count in left if count} if gpu.mode else {},
        },
        "command": creation_command(str(gpu.index), instances),
    }


def creation_command(gpus: str, instances: list[dict[str, Any]]) -> str | None:
    """The command that makes `instances` on these GPUs by hand, each at its place; None when there are none."""
    if not instances:
        return None
    tuples = ",".join(f"{instance['profile']}:{instance['start']}" for instance in instances)
    return f"nvidia-smi mig -i {gpus} -cgi {tuples} -C"


def reboots(node: NodePlan) -> int:
    """How often the machine reboots on its way from the bare image: once where MIG mode waits for it, else never."""
    layout = node.layout
    return int(layout is not None and layout.model.mode_needs_reboot and any(layout.modes))
