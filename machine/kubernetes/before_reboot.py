"""A reboot ends every pod of its machine: whether those of users may end is asked first, as mig.onChange says."""

from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import eviction
from machine.kubernetes.node import Node


def ask(machine: ThisMachine, *, end: bool = False) -> int:
    """Find out whether the pods may end, and with `end` end them. Returns 0; also where no node runs.

    Raises NodeError where they may not, or the API server does not tell.
    """
    node = Node.running(machine)
    if node is None:
        return 0
    rules = machine.desired_state().pods
    pods = node.pods_of_users(rules.namespaces)
    if rules.on_change == "drain":
        eviction.rehearse(node, pods)
        if end:
            eviction.evict(node, pods, why=f"because {node.name} reboots")
    elif pods:
        raise NodeError(
            f"{node.name} must reboot for its driver, and pods run on it: {', '.join(map(str, pods))}. Delete them, or"
            " set mig.onChange to drain, then `pulumi up`"
        )
    return 0
