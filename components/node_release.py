"""The release of this checkout on a machine: everything of ours that runs there."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, machine_command
from plan import delivery, delivery_command, release

_TIMEOUT_SECONDS = 600
"""Another delivery may take 300 s to end."""


@dataclass(frozen=True, kw_only=True)
class NodeReleaseArgs:
    """Inputs of `NodeRelease`."""

    access: Access


class NodeRelease(pulumi.ComponentResource):
    """This checkout's release is the machine's current one. It needs nothing of what runs there."""

    delivered: remote.Command
    access: Access
    """The way to the machine."""
    name: str
    """Equal names, equal files."""

    def __init__(self, name: str, args: NodeReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:NodeRelease", name, None, opts)
        sent = release()
        self.name = sent.name
        self.access = args.access
        self.delivered = machine_command(
            f"{name}-release",
            delivery_command(),
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            stdin=delivery(sent),
            logging=remote.Logging.STDERR,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"name": self.name})
