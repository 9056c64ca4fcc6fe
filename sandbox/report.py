"""What people are told when a sandbox is up, or did not get up: the verification's report, and how to look around."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine.documents.verification_report import VerificationReport
from sandbox import person
from sandbox.engine.environment import Environment
from sandbox.host import access
from sandbox.instance import Sandbox
from scripts.stack import names
from scripts.verification_report import summary


def verification(outputs: Mapping[str, Any]) -> str:
    """The verdict of the stack's verification."""
    report = outputs.get("verification")
    if not report:
        return "verification: switched off in this stack (verify.enabled)"
    return summary(VerificationReport.from_json(json.dumps(report)))


def how_to_go_on(environment: Environment) -> str:
    """Lines that can be pasted into a shell."""
    root = environment.root
    kubectl = shlex.join([str(environment.programs / "kubectl"), "--kubeconfig", str(access.kubeconfig(root))])
    first = names(environment.stack_file, role="server")[0]
    bring_up = person.command("make sandbox")
    return (
        f"look around:\n  {kubectl} get nodes,pods -A\n  {_ssh(root, first)}\n"
        "verify it again:   make verify\n"
        f"change the stack:  make preview STACK=examples/single.yaml, then {bring_up} STACK=examples/single.yaml\n"
        f"end it:            {person.command('make sandbox-down')}"
    )


def after_a_failure(sandbox: Sandbox) -> str:
    """What to do now, and where to look: on the machines that are there."""
    lines = [f"`{person.command('make sandbox')}` tries again, `{person.command('make sandbox-down')}` ends it"]
    lines += [
        f"  how far {login.name} is, and why no further:\n"
        f"    {_ssh(sandbox.root, login.name)} sudo mig-k8s status    (the logs of its stages: /run/mig-k8s/log)"
        for login in access.logins(sandbox)
    ]
    return "\n".join(lines)


def _ssh(root: Path, name: str) -> str:
    return shlex.join(["ssh", "-F", str(access.ssh_config(root)), name])
