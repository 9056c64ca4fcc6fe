"""How many agents may be out at once, told to the cluster, in which the agents take their turns."""

from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, first_child, machine_command
from machine.documents.turns import Limit

_TIMEOUT_SECONDS = 600
TURN_SECONDS = 24 * 3600
"""How much longer than its own work what is run on an agent may take: it waits for as many others as there are, and
gives up by itself when those who are out do not get on (`machine/kubernetes/turn_waiting.py`)."""


@dataclass(frozen=True, kw_only=True)
class RolloutArgs:
    """Inputs of `Rollout`."""

    agents_at_once: int
    access: Access
    """The way to a server, when they run."""


class Rollout(pulumi.ComponentResource):
    """The limit, as the cluster has it. Nothing of an agent changes with it."""

    limited: remote.Command
    """Done when agents can take their turns."""

    def __init__(self, name: str, args: RolloutArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Rollout", name, None, opts)
        self.limited = machine_command(
            f"{name}-limit",
            "/usr/local/sbin/mig-k8s limit-turns",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            stdin=Limit(args.agents_at_once).to_json(),
            logging=remote.Logging.STDERR,
            opts=first_child(self, opts),
        )
        self.register_outputs({})
