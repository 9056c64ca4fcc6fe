"""The proof that pods get the MIG devices the stack asks for."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_command import remote

from components.machine_command import Access, first_child, machine_command
from plan import VerificationPlan

_GRACE_SECONDS = 300
"""On top of the verification's own timeout: time to report and to remove its pods."""


@dataclass(frozen=True, kw_only=True)
class VerificationArgs:
    """Inputs of `Verification`."""

    plan: VerificationPlan
    access: Access
    """The first server, where it runs."""
    triggers: Sequence[pulumi.Input[str]]
    """What is proven: it is proven again when one of these changes."""


class Verification(pulumi.ComponentResource):
    """One run of `mig-k8s verify`, after everything else. Its failure is the failure of the whole `up`."""

    report: pulumi.Output[dict[str, Any]]
    """Checks with what was expected and seen, and the devices that the pods saw."""

    def __init__(self, name: str, args: VerificationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Verification", name, None, opts)
        run = machine_command(
            f"{name}-run",
            "/usr/local/sbin/mig-k8s verify",
            access=args.access,
            timeout_seconds=args.plan.timeout_seconds + _GRACE_SECONDS,
            stdin=args.plan.expectations_json,
            triggers=args.triggers,
            logging=remote.Logging.STDERR,
            opts=first_child(self, opts),
        )
        # A report names nodes, pods and device ids: nothing in it is secret.
        self.report = pulumi.Output.unsecret(run.stdout).apply(json.loads)
        self.register_outputs({"report": self.report})
