"""The proof that pods get the MIG devices the stack asks for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from components.machine_command import Access, first_child, machine_command
from plan import VerificationPlan

_GRACE_SECONDS = 300
"""Time after the verification's own timeout to report and to remove its pods."""


@dataclass(frozen=True, kw_only=True)
class VerificationArgs:
    """Inputs of `Verification`."""

    plan: VerificationPlan
    access: Access
    """The way to a server, where it runs."""
    machines: Mapping[str, Access]
    """All of the stack by their names."""
    triggers: Sequence[pulumi.Input[str]]
    """What is proven: it is proven again when one of these changes."""


class Verification(pulumi.ComponentResource):
    """One run of `mig-k8s verify`, after everything else. Its failure is the failure of the whole `up`.

    Machines that are away fail it, when all the others have been verified. What failed is not in the state any more, so
    that the next `up` verifies even if by then everything is as it was at the last success.
    """

    report: pulumi.Output[dict[str, Any]]
    """Checks with what was expected and seen, and the devices that the pods saw."""

    def __init__(self, name: str, args: VerificationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Verification", name, None, opts)
        replaced_first = pulumi.ResourceOptions(delete_before_replace=True)
        away = {name: each.away for name, each in args.machines.items()}
        expected = pulumi.Output.all(**away).apply(lambda known: args.plan.expectations.while_away(known).to_json())
        run = machine_command(
            f"{name}-run",
            "/usr/local/sbin/mig-k8s verify",
            access=args.access,
            timeout_seconds=args.plan.timeout_seconds + _GRACE_SECONDS,
            stdin=expected,
            triggers=args.triggers,
            logging=remote.Logging.STDERR,
            opts=pulumi.ResourceOptions.merge(first_child(self, opts), replaced_first),
        )
        # A report names nodes, pods and device ids: nothing in it is secret.
        self.report = pulumi.Output.unsecret(run.stdout).apply(json.loads)
        self.register_outputs({"report": self.report})


def fail_for_away(access: Mapping[str, Access], *, verified: Access | None, done: Sequence[pulumi.Resource]) -> None:
    """Fail the `up`, when all the rest is `done`, for each machine that is away.

    `verified`: the way to where the verification runs, which fails for them itself as long as it can run.
    """

    def fail(known: list[Any]) -> None:
        away, at = known[:2]
        missing = [f"{name} is {each.seen} in Azure. {each.remedy}" for name, each in away.items() if each]
        if missing and (verified is None or at):
            raise pulumi.RunError("Not everything that this stack file says could be done:\n  " + "\n  ".join(missing))

    if not pulumi.runtime.is_dry_run():
        away = {name: each.away for name, each in access.items()}
        pulumi.Output.all(away, verified and verified.away, [each.urn for each in done]).apply(fail)
