"""A machine's way to another layout where MIG Manager makes the instances: freed first, handed over at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, machine_command
from plan import GpuOperatorPlan, NodePlan, StackPlan
from plan.cluster import mig_manager

_WITHDRAW_SECONDS = 1200
"""mig-apply may wait 300 s each for paused GPU clients to end and for drained pods, besides the change itself."""
_CHANGE_SECONDS = 1200
"""MIG Manager's own patience, and some more to say what is wrong."""


@dataclass(frozen=True, kw_only=True)
class MigManagerArgs:
    """Inputs of `MigWithdrawal` and `MigHandover`."""

    plan: NodePlan
    """A machine whose instances MIG Manager makes."""
    operator: GpuOperatorPlan
    access: Access
    after: Sequence[pulumi.Resource]


class MigWithdrawal(pulumi.ComponentResource):
    """Before anything of the machine changes: what the new layout does not have is gone, or the `up` ends here."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigWithdrawal", name, None, opts)
        self.done = machine_command(
            f"{name}-withdraw",
            mig_manager.withdraw_command(args.plan),
            access=args.access,
            timeout_seconds=_WITHDRAW_SECONDS,
            stdin=mig_manager.owner_script(),
            triggers=[mig_manager.layout_name(args.plan)],
            logging=remote.Logging.STDERR,
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


class MigHandover(pulumi.ComponentResource):
    """After the operator's release: MIG Manager has made the layout. On destroy its label stays."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigHandover", name, None, opts)
        operator = args.operator
        if operator.mig_config_map is None:
            raise ValueError("the release has no MIG Manager to hand a machine over to")
        self.done = machine_command(
            f"{name}-hand-over",
            mig_manager.hand_over_command(
                args.plan, config_map=operator.mig_config_map, seconds=operator.timeout_seconds
            ),
            access=args.access,
            timeout_seconds=operator.timeout_seconds + _CHANGE_SECONDS,
            stdin=mig_manager.owner_script(),
            triggers=[mig_manager.layout_name(args.plan)],
            logging=remote.Logging.STDERR,
            parent=self,
            after=args.after,
        )
        self.register_outputs({})


def withdrawals(stack: StackPlan, access: Mapping[str, Access]) -> dict[str, list[pulumi.Resource]]:
    """By machine name, what its own changes wait for; nothing where the host owns MIG."""
    return {
        node.name: [
            MigWithdrawal(
                node.name,
                MigManagerArgs(plan=node, operator=stack.gpu_operator, access=access[node.name], after=()),
            ).done
        ]
        if node.mig_config
        else []
        for node in stack.nodes
    }


def handovers(
    stack: StackPlan, access: Mapping[str, Access], *, after: Sequence[pulumi.Resource]
) -> list[pulumi.Resource]:
    """What the verification waits for; nothing where the host owns MIG."""
    return [
        MigHandover(
            node.name, MigManagerArgs(plan=node, operator=stack.gpu_operator, access=access[node.name], after=after)
        ).done
        for node in stack.nodes
        if node.mig_config
    ]
