"""What is done on a server, or by hand, about the turns of machines: their limit, and those that nobody ends."""

import contextlib

from machine.host.console import say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import Kubectl
from machine.kubernetes.turn_record import NoRecordError, TurnRecord


def limit(machine: ThisMachine, agents_at_once: int) -> None:
    """Say how many agents may be out at once. Raises NodeError."""
    TurnRecord(_kubectl(machine)).limit(agents_at_once)


def end(machine: ThisMachine, node: str) -> None:
    """End a turn that nobody ends, of this machine or, on a server, of any. Raises NodeError."""
    kubectl = _kubectl(machine)
    record = TurnRecord(kubectl)
    mine = record.read().turns.get(node)
    if mine is None:
        say(f"{node} has no turn")
        return
    if mine.cordoned and kubectl.get("nodes", f"--field-selector=metadata.name={node}"):
        kubectl.repeat("uncordon", node)
    record.forget(node)
    say(f"the turn of {node} has ended")


def forget(machine: ThisMachine, node: str) -> None:
    """Remove the turn of a machine that has left the cluster. A failure does not keep the machine from leaving."""
    kubectl = Kubectl.here(machine)
    try:
        if kubectl and node != machine.node_name():
            with contextlib.suppress(NoRecordError):
                TurnRecord(kubectl).forget(node)
    except NodeError as error:
        say(f"a turn of {node} may be left, which `sudo mig-k8s end-turn {node}` on a server ends: {error}")


def _kubectl(machine: ThisMachine) -> Kubectl:
    found = Kubectl.here(machine)
    if found is None:
        raise NodeError("there is no Kubernetes on this machine: `sudo mig-k8s status` tells why")
    return found
