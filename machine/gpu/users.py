"""Who uses the GPUs: found out before a change, refused or ended for it, and started again afterwards."""

import contextlib
from collections.abc import Iterator, Sequence

from machine.gpu import paused, services
from machine.gpu.device import Device
from machine.host import signals
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import eviction, gpu_clients
from machine.kubernetes.node import Node
from machine.kubernetes.pods import Pod


@contextlib.contextmanager
def stopped(machine: ThisMachine, devices: Sequence[Device], *, drain: bool) -> Iterator[Node | None]:
    """Free the GPUs for their change; yields the node if one runs here. Raises NodeError and DiskError.

    Whether pods may go is found out before anything is stopped. Services and GPU clients are started again afterwards,
    whatever happens in here.
    """
    node = Node.running(machine)
    pods = pods_in_the_way(devices, node.holders()) if node else {}
    if node:
        check(node, pods, drain=drain)
    holders = machine.active_units(*services.HOLDERS)
    paused.note(machine, holders, clients=node is not None)
    try:
        services.stop(machine, holders)
        if node:
            gpu_clients.pause(node)
            eviction.evict(node, pods)
        yield node
    finally:
        with signals.ignored():
            paused.start_again(machine)


def pods_in_the_way(devices: Sequence[Device], held: dict[str, tuple[Pod, ...]]) -> dict[Pod, str]:
    """Pods that hold what must go -> the device. A GPU that changes its mode must be free altogether."""
    found: dict[Pod, str] = {}
    for device in devices:
        touched = device.change.touched
        gone = {uuid: str(instance.place) for instance in touched for uuid in instance.uuids}
        if touched or device.changes_mode:
            gone[device.before.uuid] = f"GPU {device.index}"
        found.update({pod: gone[uuid] for uuid, pods in held.items() if uuid in gone for pod in pods})
        unknown = [str(instance.place) for instance in touched if instance.computes != () and not instance.uuids]
        if unknown and held:
            raise NodeError(f"nvidia-smi does not tell the UUID of {', '.join(unknown)}, so who holds it is unknown")
    return found


def check(node: Node, pods: dict[Pod, str], *, drain: bool) -> None:
    """Raises NodeError unless these pods may be ended. Ends none."""
    if drain:
        eviction.rehearse(node, pods)
    elif pods:
        words = ", ".join(f"{pod} ({place})" for pod, place in sorted(pods.items()))
        raise NodeError(f"pods hold devices that must go: {words}. Delete them, or set mig.onChange to drain")


def end_for_reboot(node: Node, *, drain: bool) -> None:
    """A reboot takes the devices of all GPUs away: end the pods that hold one. Raises NodeError if that must not be."""
    holders = {pod for pods in node.holders().values() for pod in pods}
    pods = dict.fromkeys(holders, "the machine must reboot")
    check(node, pods, drain=drain)
    eviction.evict(node, pods)
