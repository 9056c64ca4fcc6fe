"""A machine's way to another layout of MIG Manager's: GPUs are freed first, the node is labelled at the end."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, first_child, machine_command
from components.mig_instances import CHANGE_SECONDS
from machine.documents.mig_manager_layout import MigManagerLayout


@dataclass(frozen=True, kw_only=True)
class MigManagerArgs:
    """Inputs of `FreeGpus` and `MigManagerLabel`."""

    wanted: MigManagerLayout
    access: Access


class FreeGpus(pulumi.ComponentResource):
    """Frees GPUs before anything of the machine changes: what the new layout does not have goes, or the `up` ends."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:FreeGpus", name, None, opts)
        self.done = machine_command(
            f"{name}-free",
            f"/usr/local/sbin/mig-k8s free --node {name}",
            access=args.access,
            needs=args.access.servers[:1],  # by it, MIG Manager is told its layouts
            timeout_seconds=CHANGE_SECONDS,
            # Not the rest of it, which changes with the layouts of other machines.
            stdin=args.wanted.layout.to_json(),
            logging=remote.Logging.STDERR,
            opts=first_child(self, opts),
        )
        self.register_outputs({})


class MigManagerLabel(pulumi.ComponentResource):
    """Has MIG Manager make the layout, after the operator's release. On destroy its label stays."""

    done: remote.Command

    def __init__(self, name: str, args: MigManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:MigManagerLabel", name, None, opts)
        self.done = machine_command(
            f"{name}-label",
            "/usr/local/sbin/mig-k8s label",
            access=args.access,
            needs=args.access.servers[:1],  # by it, MIG Manager is told its layouts
            # Time until such a MIG Manager runs, then the time that it may take, and some more to say what is wrong.
            timeout_seconds=args.wanted.seconds + CHANGE_SECONDS,
            stdin=args.wanted.to_json(),
            logging=remote.Logging.STDERR,
            opts=first_child(self, opts),
        )
        self.register_outputs({})
