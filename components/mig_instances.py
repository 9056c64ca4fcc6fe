"""The MIG instances of a machine's GPUs, made by the host."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, first_child, machine_command
from components.rollout import TURN_SECONDS
from machine.documents.layout import Layout

CHANGE_SECONDS = 1200 + TURN_SECONDS
"""A change may wait 300 s each for paused GPU clients to end and for drained pods, besides what it does itself."""


@dataclass(frozen=True, kw_only=True)
class MigInstancesArgs:
    """Inputs of `MigInstances`."""

    layout: Layout
    access: Access


class MigInstances(pulumi.ComponentResource):
    """GPU and compute instances as the layout says; what can stay, stays. Nothing is removed on destroy.

    It depends on the machine's own readiness: MIG mode must be what the layout wants.
    """

    made: remote.Command
    """Done when the GPUs are as the layout says. Its stdout is the report of the GPUs, JSON."""

    def __init__(self, name: str, args: MigInstancesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigInstances", name, None, opts)
        self.made = machine_command(
            f"{name}-mig",
            f"/usr/local/sbin/mig-k8s apply --node {name}",
            access=args.access,
            needs=args.access.servers,
            timeout_seconds=CHANGE_SECONDS,
            stdin=args.layout.to_json(),
            logging=remote.Logging.STDERR,
            opts=first_child(self, opts),
        )
        self.register_outputs({})
