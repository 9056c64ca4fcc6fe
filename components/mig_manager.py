"""A machine's way to another layout of MIG Manager's: GPUs are freed first, the node is labelled at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, machine_command
from components.node_release import NodeRelease
from plan import GpuOperatorPlan, NodePlan, StackPlan, mig_manager_layout, wanted_layout

_FREE_SECONDS = 1200
"""It may wait 300 s each for paused GPU clients to end and for drained pods, besides the change itself."""
_CHANGE_SECONDS = 1200
"""MIG Manager's own patience, and some more to say what is wrong."""


@dataclass(frozen=True, kw_only=True)
class MigManagerArgs:
    """Inputs of `FreeGpus` and `MigManagerLabel`."""

    plan: NodePlan
    """A machine whose instances MIG Manager makes."""
    operator: GpuOperatorPlan
    access: Access
    after: Sequence[pulumi.Resource]


class FreeGpus(pulumi.ComponentResource):
    """Before anything of the machine changes: what the new layout does not have is gone, or the `up` ends here."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:FreeGpus", name, None, opts)
        self.done = machine_command(
            f"{name}-free",
            "/usr/local/sbin/mig-k8s free",
            access=args.access,
            timeout_seconds=_FREE_SECONDS,
            # Nothing of other machines' layouts: they are no reason to look at this one.
            stdin=wanted_layout(args.plan).to_json(),
            logging=remote.Logging.STDERR,
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


class MigManagerLabel(pulumi.ComponentResource):
    """After the operator's release: MIG Manager has made the layout. On destroy its label stays."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigManagerLabel", name, None, opts)
        self.done = machine_command(
            f"{name}-label",
            "/usr/local/sbin/mig-k8s label",
            access=args.access,
            timeout_seconds=args.operator.timeout_seconds + _CHANGE_SECONDS,
            stdin=mig_manager_layout(args.plan, args.operator).to_json(),
            logging=remote.Logging.STDERR,
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


def freed(
    stack: StackPlan, access: Mapping[str, Access], releases: Mapping[str, NodeRelease]
) -> dict[str, list[pulumi.Resource]]:
    """By machine name, what its own changes wait for; nothing where the host owns MIG."""

    def args(node: NodePlan) -> MigManagerArgs:
        after = [releases[node.name].delivered]
        return MigManagerArgs(plan=node, operator=stack.gpu_operator, access=access[node.name], after=after)

    return {node.name: [FreeGpus(node.name, args(node)).done] if node.mig_config else [] for node in stack.nodes}


def labelled(
    stack: StackPlan, access: Mapping[str, Access], *, after: Sequence[pulumi.Resource]
) -> list[pulumi.Resource]:
    """What the verification waits for; nothing where the host owns MIG."""
    return [
        MigManagerLabel(
            node.name, MigManagerArgs(plan=node, operator=stack.gpu_operator, access=access[node.name], after=after)
        ).done
        for node in stack.nodes
        if node.mig_config
    ]
