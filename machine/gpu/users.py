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
    node, pods = allowed(machine, devices, drain=drain)
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


def allowed(machine: ThisMachine, devices: Sequence[Device], *, drain: bool) -> tuple[Node | None, dict[Pod, str]]:
    """The node if one runs here, and the pods that have to go for the change of the GPUs -> what they hold.

    Each GPU decides what stays by what pods hold now. Raises NodeError unless these pods may be ended. Ends none.
    """
    node = Node.running(machine)
    held = node.holders() if node else {}
    found: dict[Pod, str] = {}
    for device in devices:
        device.decide(held)
        pods = _in_the_way(device, held)
        device.pods_must_go(_words(pods))
        found.update(pods)
    if node:
        check(node, found, drain=drain)
    return node, found


def _in_the_way(device: Device, held: dict[str, tuple[Pod, ...]]) -> dict[Pod, str]:
    """Pods that hold what must go -> the device. A GPU that changes its mode must be free altogether."""
    touched = device.change.touched
    gone = {uuid: str(instance.place) for instance in touched for uuid in instance.uuids}
    if touched or device.changes_mode:
        gone[device.before.uuid] = f"GPU {device.index}"
    unknown = [str(instance.place) for instance in touched if instance.computes != () and not instance.uuids]
    if unknown and held:
        words = f"nvidia-smi does not tell the UUID of {', '.join(unknown)}, so who holds it is unknown"
        raise NodeError(f"{words}: see `nvidia-smi -L`, and the mig_devices of `nvidia-smi -q -x`")
    return {pod: gone[uuid] for uuid, pods in held.items() if uuid in gone for pod in pods}


def _words(pods: dict[Pod, str]) -> list[str]:
    return [f"{pod} ({place})" for pod, place in sorted(pods.items())]


def check(node: Node, pods: dict[Pod, str], *, drain: bool) -> None:
    """Find out whether these pods may be ended, and end none. Raises NodeError where they may not."""
    if drain:
        eviction.rehearse(node, pods)
    elif pods:
        raise NodeError(
            f"pods hold devices that must go: {', '.join(_words(pods))}. Delete them, or set mig.onChange to drain"
        )


def end_for_reboot(node: Node, *, drain: bool) -> None:
    """End the pods that hold a device, since a reboot takes all devices away. Raises NodeError if they may not end."""
    holders = {pod for pods in node.holders().values() for pod in pods}
    pods = dict.fromkeys(holders, "the machine must reboot")
    check(node, pods, drain=drain)
    eviction.evict(node, pods)
