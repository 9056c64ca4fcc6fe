"""A machine's way out of the cluster: when it is removed or rebuilt, its node is gone before its VM is."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import RUNNING
from components.machine import Machine
from components.machine_command import Login
from machine.documents.node_removal import NodeRemoval as Removal
from plan import NodeRemovalPlan

_TIMEOUT_SECONDS = 3600
"""Drains wait for disruption budgets and for pods to end; removals run one after the other."""


@dataclass(frozen=True, kw_only=True)
class NodeRemovalArgs:
    """Inputs of `NodeRemoval`."""

    plan: NodeRemovalPlan
    machine: Machine
    release: pulumi.Resource
    """The machine's own: where it is its own server, it has what is run."""
    server: Login
    """The way to a server: there the removal is run."""
    stay_longer: Sequence[pulumi.Resource]
    """Removals of servers: should these go too, they go when this machine has left, for this may be run there."""
    cluster: pulumi.Resource
    """The resource that is deleted with the whole stack: then no node is drained."""
    protected: bool
    """Whether the engine refuses to delete the machine, and so what is run before."""


class NodeRemoval(pulumi.ComponentResource):
    """Removes a machine's pods and Node before its VM, when the machine goes from the stack file or is rebuilt.

    Neither command has a `create`, so as long as the machine stays nobody is dialled for them. The engine deletes what
    would be replaced with a VM before that VM: so `rebuild`, whose trigger is the VM's own id, is what ends its Node.
    Where the VM was lost, it is run when another one is there, which joins only afterwards.
    """

    removal: remote.Command
    """A machine whose VM depends on this is gone before this one leaves."""
    rebuild: remote.Command
    """The machine may join once this is there."""

    def __init__(self, name: str, args: NodeRemovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:NodeRemoval", name, None, opts)
        options = self._options(args, deleted_with=args.cluster)
        # Not the one below: where the VM was lost, that goes by itself, and the machine must come back.
        protected = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(protect=args.protected))
        self.removal = _removal(f"{name}-removal", args, args.plan.removal, protected)
        options = pulumi.ResourceOptions(delete_before_replace=True, depends_on=[args.release])
        # A machine that goes is removed by the command for that alone.
        options = pulumi.ResourceOptions.merge(self._options(args, deleted_with=self.removal), options)
        vm_id = args.machine.access.vm_id
        self.rebuild = _removal(f"{name}-rebuild", args, args.plan.rebuild, options, triggers=[vm_id])
        self.register_outputs({})

    def _options(self, args: NodeRemovalArgs, *, deleted_with: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[args.machine, *args.stay_longer],
            deleted_with=deleted_with,
            additional_secret_outputs=["stdout", "stderr"],
            custom_timeouts=pulumi.CustomTimeouts(delete=f"{RUNNING.minutes}m"),
        )


def _removal(
    name: str,
    args: NodeRemovalArgs,
    removal: Removal | None,
    opts: pulumi.ResourceOptions,
    triggers: list[pulumi.Output[str]] | None = None,
) -> remote.Command:
    """Declare the command that runs this removal when it is deleted; with None nothing is run."""
    text = "" if removal is None else removal.to_json()
    return remote.Command(
        name,
        connection=args.server.connection(RUNNING),
        delete=f"sudo timeout -k 10 {_TIMEOUT_SECONDS} /usr/local/sbin/mig-k8s remove-node" if removal else None,
        stdin=args.machine.planned_name.apply(lambda _: text),
        triggers=triggers,
        logging=remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )
