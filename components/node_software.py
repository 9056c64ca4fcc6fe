"""Driver, container toolkit, MIG mode and RKE2 on a machine: everything its converge path brings about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.dialling import REBOOTING
from components.identity import digest, keyed_digest
from components.machine_command import Access, SecretInput, machine_command
from plan import NodePlan, bundle
from plan.machine.rke2 import TOKEN_PATH

_TIMEOUT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True)
class NodeSoftwareArgs:
    """Inputs of `NodeSoftware`."""

    plan: NodePlan
    access: Access
    token: pulumi.Input[str] | None
    """What machines join the cluster with. Secret. None: no other machine is there."""
    digest_key: pulumi.Input[str]
    """What the token's digest is made with. Secret."""
    after: Sequence[pulumi.Resource]
    """What must be ready first: the first server, for every machine that joins it."""


class NodeSoftware(pulumi.ComponentResource):
    """A machine's desired state, pushed and reached.

    Three commands, because the machine may reboot between them: `converge` and `resume` end when everything is done, or
    a reboot is about to happen; the next one is dialled until the machine is back. One reboot is the rule; a driver
    that needs one of its own before MIG mode can be asked for is the exception. `ready` ends when everything is done.
    """

    ready: remote.Command
    """Done when the machine's node is Ready. Its stdout is the machine's result file, JSON."""
    state: pulumi.Output[str]
    """Changes with any file of ours on the machine, and when the machine is rebuilt."""

    def __init__(self, name: str, args: NodeSoftwareArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:NodeSoftware", name, None, opts)
        files = _files(args)
        self.state = pulumi.Output.concat(files.identity, " on ", args.access.vm_id)
        converge = machine_command(
            f"{name}-converge",
            "/usr/local/sbin/mig-k8s update",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            stdin=files,
            logging=remote.Logging.STDOUT,
            parent=self,
            after=args.after,
        )
        resume = machine_command(
            f"{name}-resume",
            "/usr/local/sbin/mig-k8s resume",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            triggers=[files.identity],
            dialling=REBOOTING,
            logging=remote.Logging.STDOUT,
            parent=self,
            after=[converge],
        )
        self.ready = machine_command(
            f"{name}-ready",
            "/usr/local/sbin/mig-k8s ready",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            triggers=[files.identity],
            dialling=REBOOTING,
            logging=remote.Logging.STDERR,
            parent=self,
            after=[resume],
        )
        self.register_outputs({"state": self.state})


def _files(args: NodeSoftwareArgs) -> SecretInput:
    """The machine's bundle, with the token as one more file where there is one."""
    public = args.access.address.apply(lambda address: bundle(args.plan, public_address=address))
    if args.token is None or not args.plan.has_token:
        return SecretInput(text=public, identity=digest(public))
    token = pulumi.Output.from_input(args.token).apply(str.strip)
    return SecretInput(
        text=pulumi.Output.all(public, token).apply(lambda known: _with_token(known[0], known[1])),
        identity=pulumi.Output.concat(digest(public), " ", keyed_digest(token, key=args.digest_key)),
    )


def _with_token(public_bundle: str, token: str) -> str:
    document = json.loads(public_bundle)
    document["files"].append({"path": TOKEN_PATH, "mode": "0600", "content": f"{token}\n"})
    return json.dumps(document)
