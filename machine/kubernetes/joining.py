"""Which cluster a machine is part of: the one on its disk, one whose server answers, or one that it may found.

A machine that was rebuilt has an empty disk. Founding would then make a second, empty cluster beside the living one, so
a server founds only with a permission on its disk, which the stack gives once.
"""

import re
from collections.abc import Sequence

from machine.documents.configuration import RKE2_CONFIG_PATH, SERVER_TO_JOIN, Configuration
from machine.host import files
from machine.host.console import say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine

DATASTORE = "/var/lib/rancher/rke2/server/db/etcd/member/wal"
"""Where RKE2 looks whether a server is a member of etcd already: then it ignores `server:`."""
PERMISSION = "/var/lib/mig-k8s/may-found"
"""The stage takes it away when the datastore is there."""
_JOINED_AGENT = "/var/lib/rancher/rke2/agent/kubelet.kubeconfig"
_PORT = 9345
_LINE = re.compile(r"^server: .*\n", re.MULTILINE)
_PLACEHOLDER = f"server: {SERVER_TO_JOIN}\n"
_WAIT_SECONDS = 120
"""How long servers that do not answer are asked again: one of them may be restarting."""


def permit_founding(machine: ThisMachine) -> int:
    """Permit this machine to found a cluster, where it has no datastore. Returns 0."""
    if machine.path(DATASTORE).exists():
        say("a cluster is on the disk of this machine already: nothing to permit")
        return 0
    files.write(machine.path(PERMISSION), "", 0o600)
    return 0


def rke2_config(machine: ThisMachine, configuration: Configuration, servers: Sequence[str]) -> str:
    """RKE2's configuration with the server that this machine joins by, or without one. Raises NodeError.

    What has joined keeps the server that it has, or none: RKE2 knows the others by itself, and would restart.
    """
    role, text = configuration.desired_state.rke2.role, configuration.rke2_config
    if _PLACEHOLDER not in text:
        return text
    if machine.path(DATASTORE if role == "server" else _JOINED_AGENT).exists():
        config = machine.path(RKE2_CONFIG_PATH)
        kept = _LINE.search(config.read_text(encoding="utf-8")) if config.exists() else None
        return text.replace(_PLACEHOLDER, kept.group() if kept else "")
    may_found = role == "server" and machine.path(PERMISSION).exists()
    answering = _answering(machine, servers, seconds=0 if may_found else _WAIT_SECONDS)
    if answering is None and not may_found:
        raise NodeError(_refusal(configuration.desired_state.node.name, role, servers))
    return text.replace(_PLACEHOLDER, f"server: https://{answering}:{_PORT}\n" if answering else "")


def server(machine: ThisMachine) -> str:
    """The address of the server by which this machine has joined; empty where it names none."""
    config = machine.path(RKE2_CONFIG_PATH)
    found = (
        re.search(r"^server: https://([^:/]+):", config.read_text(encoding="utf-8"), re.M) if config.exists() else None
    )
    return found[1] if found else ""


def _answering(machine: ThisMachine, servers: Sequence[str], *, seconds: float) -> str | None:
    """The first server that answers within this time, or None."""
    found: list[str] = []

    def ask() -> bool:
        found.extend(next(([address] for address in servers if _answers(machine, address)), []))
        return bool(found)

    machine.clock.wait(ask, seconds if servers else 0, pause=2)
    return found[0] if found else None


def _answers(machine: ThisMachine, address: str) -> bool:
    """Whether a server answers; RKE2 itself checks with the token which one it is."""
    url = f"https://{address}:{_PORT}/cacerts"
    command = ("curl", "--silent", "--insecure", "--noproxy", "*", "--max-time", "5", "--output", "/dev/null", url)
    return machine.run(*command, seconds=10).succeeded


def _refusal(name: str, role: str, servers: Sequence[str]) -> str:
    asked = f"no server answers at {', '.join(servers)} (port {_PORT})" if servers else "the stack has no other server"
    start = "Start one of them, then `pulumi up`" if servers else "Restore it from a snapshot"
    if role == "agent":
        return f"{name} joins no cluster, and nothing was changed: {asked}. {start}"
    return (
        f"{name} has no datastore, {asked}, and it may not found a second cluster: nothing was changed. {start}. "
        "If the stack has no cluster any more: `sudo mig-k8s permit-founding` there, then `pulumi up` founds one"
    )
