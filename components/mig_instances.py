"""The MIG instances of a machine's GPUs, made by the host."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, machine_command
from plan import NodePlan, layout_json

_TIMEOUT_SECONDS = 1200
"""It may wait 300 s each for paused GPU clients to end and for drained pods, besides the change itself."""


@dataclass(frozen=True, kw_only=True)
class MigInstancesArgs:
    """Inputs of `MigInstances`."""

    plan: NodePlan
    """A machine with a layout."""
    access: Access
    after: Sequence[pulumi.Resource]
    """The machine's own readiness: MIG mode must be what the layout wants."""


class MigInstances(pulumi.ComponentResource):
    """GPU and compute instances as the layout says; what can stay, stays. Nothing is removed on destroy."""

    made: remote.Command
    """Done when the GPUs are as the layout says. Its stdout is the report of the GPUs, JSON."""

    def __init__(self, name: str, args: MigInstancesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigInstances", name, None, opts)
        self.made = machine_command(
            f"{name}-mig",
            "/usr/local/sbin/mig-k8s apply",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            stdin=layout_json(args.plan),
            logging=remote.Logging.STDERR,
            parent=self,
            after=args.after,
        )
        self.register_outputs({})
