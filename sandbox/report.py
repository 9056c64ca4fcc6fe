"""What people are told when a sandbox is up, or did not get up: the verification's report, and how to look around."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine.documents.verification_report import VerificationReport
from plan.report import colours
from sandbox import person
from sandbox.engine.environment import Environment
from sandbox.host import access
from sandbox.instance import Sandbox
from scripts.stack import names
from scripts.verification_report import summary


def verification(outputs: Mapping[str, Any], *, colour: bool = False) -> str:
    """The verdict of the stack's verification."""
    report = outputs.get("verification")
    if not report:
        return "verification: switched off in this stack (verify.enabled)"
    return summary(VerificationReport.from_json(json.dumps(report)), colour=colour)


def how_to_go_on(environment: Environment, *, colour: bool = False) -> str:
    """Lines that can be pasted into a shell, in 80 columns where the folder's own name is not a long one."""
    root = environment.root
    first = names(environment.stack_file, role="server")[0]
    kubectl, config = shlex.quote(str(environment.programs / "kubectl")), shlex.quote(str(access.kubeconfig(root)))
    commands = {
        "make verify": "verify it again",
        f"make preview STACK={_ANOTHER}": "see what another stack changes",
        f"{person.command('make sandbox')} STACK={_ANOTHER}": "change it",
        person.command("make sandbox-down"): "end it",
    }
    width = max(map(len, commands))
    look, go_on = (colours.painted(title) if colour else title for title in ("Look around", "Go on"))
    return "\n".join(
        (
            look,
            f"  {kubectl} --kubeconfig \\\n    {config} get nodes,pods -A",
            f"  {_ssh(root, first)}",
            "",
            go_on,
            *(f"  {command:<{width}}  {what}" for command, what in commands.items()),
        )
    )


_ANOTHER = "examples/single.yaml"


def after_a_failure(sandbox: Sandbox) -> str:
    """What to do now, and where to look: on the machines that are there."""
    told = f"`{person.command('make sandbox')}` tries again, `{person.command('make sandbox-down')}` ends it"
    asked = [f"    {_ssh(sandbox.root, login.name)} sudo mig-k8s status" for login in access.logins(sandbox)]
    about = "  how far each machine is, and why no further (its logs: /run/mig-k8s/log):"
    return "\n".join([told, about, *asked]) if asked else told


def _ssh(root: Path, name: str) -> str:
    return shlex.join(["ssh", "-F", str(access.ssh_config(root)), name])
