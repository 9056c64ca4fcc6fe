"""The permission to found the cluster, given once in a stack's life to the machine that stands first then."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import RUNNING
from components.machine_command import Access, command_options, first_child
from components.power import idle

_TIMEOUT_SECONDS = 60
_OF_THE_FIRST_DAY = ["connection", "create", "stdin", "logging", "addPreviousOutputInEnv"]
"""All inputs but the triggers. A change of them runs nothing again; they are read again where the resource is
replaced."""


@dataclass(frozen=True, kw_only=True)
class FoundingArgs:
    """Inputs of `Founding`."""

    access: Access
    """The way to the machine that stands first."""
    with_every_machine: bool
    """Whether another machine in its place founds another cluster."""


class Founding(pulumi.ComponentResource):
    """A permission on the disk of a machine, which does nothing where a cluster is on the disk already.

    It does not follow the machine: another one in its place finds no permission, and joins the servers that are there.
    """

    permitted: remote.Command
    cluster: pulumi.Output[str]
    """Changes with the cluster: the `vm_id` of its founding machine, or of an older stack's first one."""

    def __init__(self, name: str, args: FoundingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Founding", name, None, opts)
        is_idle = idle([args.access.away])
        # The trigger is always there, so that nothing is run for a stack that only says from now on that its cluster
        # may be lost, or has more servers than before.
        ignored = [*_OF_THE_FIRST_DAY, *([] if args.with_every_machine else ["triggers"])]
        kept = pulumi.ResourceOptions(ignore_changes=ignored)
        self.permitted = remote.Command(
            f"{name}-permission",
            connection=args.access.connection(RUNNING, is_idle),
            create=f"sudo timeout -k 10 {_TIMEOUT_SECONDS} /usr/local/sbin/mig-k8s permit-founding",
            stdin=args.access.vm_id,  # no program reads it there: the state remembers it
            triggers=[args.access.vm_id],
            logging=remote.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=command_options(
                pulumi.ResourceOptions.merge(first_child(self, opts), kept), is_idle=is_idle, dialling=RUNNING
            ),
        )
        self.cluster = self.permitted.stdin.apply(str)
        self.register_outputs({"cluster": self.cluster})
