"""Whether this machine can go to another release of RKE2, found out before anything is written."""

import json
import re
from collections.abc import Iterator

from machine.documents.desired_state import Rke2
from machine.documents.rke2_version import minor, refused_step
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import AwayError, Kubectl

PROGRAMS = ("/opt/rke2/bin/rke2", "/usr/local/bin/rke2")
"""Where the rke2 stage puts it; the units of the first have precedence."""


def program(machine: ThisMachine) -> str:
    """The rke2 that is installed. Raises NodeError."""
    found = next((path for path in map(machine.path, PROGRAMS) if path.exists()), None)
    if found is None:
        raise NodeError("RKE2 is not installed here yet: `pulumi up` first")
    return str(found)


def check(machine: ThisMachine, wanted: Rke2) -> None:
    """Compare the wanted release with the one that runs. Raises NodeError with what is refused and what to do."""
    known = release(machine, f"rke2-{wanted.role}.service")
    if known is None or known == wanted.version:
        return
    why = _refused_on_server(known, wanted) if wanted.role == "server" else _refused_on_agent(machine, known, wanted)
    if why:
        raise NodeError(f"nothing was changed, RKE2 stays at {known}: {why}")


def _refused_on_server(known: str, wanted: Rke2) -> str:
    return refused_step(known, wanted.version)


def _refused_on_agent(machine: ThisMachine, known: str, wanted: Rke2) -> str:
    """A kubelet may be older than the API server by minors, so one that was away may leave some out; never newer."""
    before, after = minor(known), minor(wanted.version)
    if before is None or after is None or after == before:
        return ""
    if after < before:
        return refused_step(known, wanted.version)
    kubectl = Kubectl.here(machine)
    if kubectl is None:  # it has not joined yet, and the cluster decides
        return ""
    try:
        servers = str(json.loads(kubectl.read("get", "--raw", "/version"))["gitVersion"])
    except AwayError as error:
        return f"no kubelet may be newer than the cluster's API server, which does not answer: {error}"
    newest = minor(servers)
    if newest is None or after <= newest:
        return ""
    return (
        f"the cluster's API server is {servers}, and no kubelet may be newer than that. The servers go to"
        f" {wanted.version} first: `pulumi up` with all of them"
    )


def release(machine: ThisMachine, unit: str) -> str | None:
    """The release of the process that runs, or else of the program that would; None where there is neither."""
    pid = machine.systemctl("show", "--property=MainPID", "--value", unit).stdout.strip()
    process = [f"/proc/{pid}/exe"] if pid.isdecimal() and pid != "0" else []
    return next(_told(machine, [*process, *PROGRAMS]), None)


def _told(machine: ThisMachine, programs: list[str]) -> Iterator[str]:
    for path in map(machine.path, programs):
        if path.exists():
            found = re.search(r"v\d+\.\d+\.\d+\+rke2r\d+", machine.run(str(path), "--version", seconds=60).stdout)
            if found:
                yield found[0]
