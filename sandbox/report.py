"""What people are told when a sandbox is up, or did not get up: the verification's report, and how to look around."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import access
from sandbox.environment import Environment
from sandbox.instance import Sandbox


def verification(outputs: Mapping[str, Any]) -> str:
    """The report of the stack's verification, one line a check and one a device."""
    report = outputs.get("verification")
    if not report:
        return "verification: switched off in this stack (verify.enabled)"
    lines = [f"verification: {'passed' if report['passed'] else 'FAILED'} in {report['seconds']:.0f} s"]
    for check in report["checks"]:
        mark = "ok  " if check["passed"] else "FAIL"
        where = f"{check['node']}: " if check.get("node") else ""
        lines.append(f"  {mark} {where}{check['name']}: {_short(check['seen'])}")
    lines += [
        f"  {device['node']}: pod {device['pod']} saw {device['profile'] or 'a whole GPU'} {device['uuid']}"
        for device in report["devices"]
    ]
    return "\n".join(lines)


def how_to_go_on(environment: Environment, outputs: Mapping[str, Any]) -> str:
    """Lines that can be pasted into a shell."""
    root = environment.root
    kubectl = shlex.join([str(environment.programs / "kubectl"), "--kubeconfig", str(access.kubeconfig(root))])
    return (
        f"look around:\n  {kubectl} get nodes,pods -A\n  {_ssh(root, next(iter(outputs['ssh'])))}\n"
        "change the stack:  STACK=examples/single.yaml make preview, then make sandbox\n"
        "end it:            make sandbox-down"
    )


def after_a_failure(sandbox: Sandbox) -> str:
    """What to do now, and where to look: on the machines that are there."""
    lines = ["`make sandbox` tries again, `make sandbox-down` ends it"]
    lines += [
        f"  how far {login.name} is, and why no further:\n"
        f"    {_ssh(sandbox.root, login.name)} sudo mig-k8s status    (the logs of its stages: /run/mig-k8s/log)"
        for login in access.logins(sandbox)
    ]
    return "\n".join(lines)


def _ssh(root: Path, name: str) -> str:
    return shlex.join(["ssh", "-F", str(access.ssh_config(root)), name])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
