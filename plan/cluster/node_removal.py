"""How a machine leaves the cluster, should it go from the stack file: on which server, and what its pods may expect."""

from collections.abc import Sequence
from dataclasses import dataclass

from machine.documents.node_removal import NodeRemoval
from plan.machine.node import NodePlan


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRemovalPlan:
    """What is run when the machine is removed: `removal`, on the machine named `server`.

    That is another one wherever there is one. On the only server it is the machine itself, which then refuses to go.
    """

    server: str
    removal: NodeRemoval


def node_removals(nodes: Sequence[NodePlan]) -> dict[str, NodeRemovalPlan]:
    """By machine. None is ever without: a machine whose removal goes from the program would be taken for removed."""
    servers = [node.name for node in nodes if node.role == "server"]
    return {
        node.name: NodeRemovalPlan(
            server=next((name for name in servers if name != node.name), node.name),
            removal=NodeRemoval(node.name, node.on_change, node.own_namespaces),
        )
        for node in nodes
    }
