"""A machine's way out of the cluster, which is gone before its VM is."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import RUNNING
from components.machine import Machine
from components.machine_command import Access
from machine.documents.node_removal import NodeRemoval as Removal
from plan import StackPlan

_TIMEOUT_SECONDS = 3600
"""Drains wait for disruption budgets and for pods to end; removals run one after the other."""


@dataclass(frozen=True, kw_only=True)
class NodeRemovalArgs:
    """Inputs of `NodeRemoval`."""

    removal: Removal
    machine: Machine
    server: Access
    """A server that stays: there the removal is run."""
    cluster: pulumi.Resource
    """What is deleted when the whole stack is: then nobody is drained."""


class NodeRemoval(pulumi.ComponentResource):
    """Nothing, until the machine goes from the stack file. Then its pods and its Node go before its VM does.

    It has no `create`, so as long as the machine stays nobody is dialled for it.
    """

    def __init__(self, name: str, args: NodeRemovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:NodeRemoval", name, None, opts)
        remote.Command(
            f"{name}-removal",
            connection=args.server.connection(RUNNING),
            delete=f"sudo timeout -k 10 {_TIMEOUT_SECONDS} /usr/local/sbin/mig-k8s remove-node",
            stdin=args.machine.planned_name.apply(lambda _: args.removal.to_json()),
            logging=remote.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.machine],
                deleted_with=args.cluster,
                additional_secret_outputs=["stdout", "stderr"],
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{RUNNING.minutes}m"),
            ),
        )
        self.register_outputs({})


def removals_of(stack: StackPlan, machines: Mapping[str, Machine], cluster: pulumi.Resource) -> None:
    """The removal of every machine of a stack, all for the day on which it goes."""
    for name, plan in stack.node_removals.items():
        server = machines[plan.server].access
        NodeRemoval(name, NodeRemovalArgs(removal=plan.removal, machine=machines[name], server=server, cluster=cluster))
