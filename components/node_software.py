"""Driver, container toolkit, MIG mode and RKE2 on a machine: everything its converge path brings about."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import REBOOTING
from components.identity import digest, keyed_digest
from components.machine_command import SecretInput, first_child, machine_command
from components.node_release import NodeRelease
from components.rollout import TURN_SECONDS
from plan import HostKey, NodePlan, configuration

_TIMEOUT_SECONDS = 3600 + TURN_SECONDS


@dataclass(frozen=True, kw_only=True)
class NodeSoftwareArgs:
    """Inputs of `NodeSoftware`."""

    plan: NodePlan
    release: NodeRelease
    """What brings the machine to its state."""
    token: pulumi.Input[str]
    """The cluster's server token, from which what the machine gets is derived. Secret."""
    digest_key: pulumi.Input[str]
    """What the token's digest is made with. Secret."""
    host_keys: Sequence[HostKey]
    """What it shall show to whoever dials it; none: those that it was made with."""
    servers: Sequence[pulumi.Output[str]]
    """Private addresses that the machine can join the cluster by: the other servers', or a single one for all."""


class NodeSoftware(pulumi.ComponentResource):
    """A machine's desired state, pushed and reached. One that joins the cluster depends on the servers before it.

    Three commands, because the machine may reboot between them: `converge` and `resume` end when everything is done, or
    a reboot is about to happen; the next one is dialled until the machine is back. One reboot is the rule; a driver
    that needs one of its own before MIG mode can be asked for is the exception. `ready` ends when everything is done.
    """

    ready: remote.Command
    """Done when the machine's node is Ready. Its stdout is the machine's result, JSON."""
    state: pulumi.Output[str]
    """Changes with the machine's release or configuration, and when the machine is rebuilt."""

    def __init__(self, name: str, args: NodeSoftwareArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:NodeSoftware", name, None, opts)
        wanted = _configuration(args)
        # A new release may bring the machine to the same state by other stages.
        triggers: list[pulumi.Input[str]] = [args.release.name, wanted.identity]
        self.state = pulumi.Output.concat(args.release.name, " ", wanted.identity, " on ", args.release.access.vm_id)
        delivered = pulumi.ResourceOptions(depends_on=[args.release.delivered])
        converge = machine_command(
            f"{name}-converge",
            pulumi.Output.concat("/usr/local/sbin/mig-k8s update", *_joining(args.servers)),
            access=args.release.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            stdin=wanted,
            triggers=[args.release.name],
            needs=args.release.access.servers,
            logging=remote.Logging.STDOUT,
            opts=pulumi.ResourceOptions.merge(
                first_child(self, opts),
                # Only a machine that has not joined needs the servers: others are left alone when one comes or goes.
                pulumi.ResourceOptions.merge(delivered, pulumi.ResourceOptions(ignore_changes=["create"])),
            ),
        )

        def go_on(verb: str, logging: remote.Logging, after: remote.Command) -> remote.Command:
            return machine_command(
                f"{name}-{verb}",
                f"/usr/local/sbin/mig-k8s {verb}",
                access=args.release.access,
                timeout_seconds=_TIMEOUT_SECONDS,
                triggers=triggers,
                needs=args.release.access.servers,
                dialling=REBOOTING,
                logging=logging,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[after]),
            )

        resumed = go_on("resume", remote.Logging.STDOUT, converge)
        self.ready = go_on("ready", remote.Logging.STDERR, resumed)
        self.register_outputs({"state": self.state})


def _joining(servers: Sequence[pulumi.Output[str]]) -> list[pulumi.Input[str]]:
    return [part for address in servers for part in (" --join ", address)]


def _configuration(args: NodeSoftwareArgs) -> SecretInput:
    """The machine's configuration with its tokens and host keys."""
    addresses = args.release.access.addresses
    public = addresses.apply(lambda known: configuration(args.plan, known).to_json())
    token = pulumi.Output.from_input(args.token).apply(str.strip)
    text = pulumi.Output.all(addresses, token).apply(
        lambda known: configuration(args.plan, known[0], token=known[1], host_keys=args.host_keys).to_json()
    )
    parts = [digest(public), keyed_digest(token, key=args.digest_key)]
    if args.host_keys:
        parts.append(digest("\n".join(key.public for key in args.host_keys)))
    return SecretInput(text=pulumi.Output.secret(text), identity=pulumi.Output.all(*parts).apply(" ".join))
