"""Driver, container toolkit, MIG mode and RKE2 on a machine: everything its converge path brings about."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from components.machine_command import Access, digest, machine_command
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
        files = pulumi.Output.all(args.access.address, args.token).apply(
            lambda known: _files(args.plan, public_address=known[0], token=known[1])
        )
        files_digest = digest(files)
        self.state = pulumi.Output.concat(files_digest, " on ", args.access.vm_id)
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
            triggers=[files_digest],
            logging=remote.Logging.STDOUT,
            parent=self,
            after=[converge],
        )
        self.ready = machine_command(
            f"{name}-ready",
            "/usr/local/sbin/mig-k8s ready",
            access=args.access,
            timeout_seconds=_TIMEOUT_SECONDS,
            triggers=[files_digest],
            logging=remote.Logging.STDERR,
            parent=self,
            after=[resume],
        )
        self.register_outputs({"state": self.state})


def _files(plan: NodePlan, *, public_address: str, token: str | None) -> str:
    """The machine's bundle, with the token as one more file where there is one."""
    text = bundle(plan, public_address=public_address)
    if token is None or not plan.has_token:
        return text
    document = json.loads(text)
    document["files"].append({"path": TOKEN_PATH, "mode": "0600", "content": token.strip() + "\n"})
    return json.dumps(document)
