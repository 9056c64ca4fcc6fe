"""How a machine leaves the cluster when it goes from the stack file or is rebuilt: with what care for pods."""

from collections.abc import Sequence
from dataclasses import dataclass

from machine.documents.node_removal import NodeRemoval
from plan.machine.node import NodePlan


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRemovalPlan:
    """What is run on a server when the machine is removed or rebuilt."""

    removal: NodeRemoval
    rebuild: NodeRemoval | None
    """None: nothing is run, since the cluster may be lost with this machine, its only server."""


def node_removals(nodes: Sequence[NodePlan], *, cluster_may_be_lost: bool) -> dict[str, NodeRemovalPlan]:
    """The removal of each machine, by its name; a machine without one would be taken for removed."""
    servers = [node.name for node in nodes if node.role == "server"]
    return {
        node.name: NodeRemovalPlan(
            removal=NodeRemoval(node.name, node.on_change, node.own_namespaces),
            rebuild=None
            if cluster_may_be_lost and servers == [node.name]
            else NodeRemoval(node.name, node.on_change, node.own_namespaces, comes_back=True),
        )
        for node in nodes
    }
