"""The token of this server's cluster: taken over before anything restarts with another, kept where RKE2 looks for it.

RKE2 encrypts what a server starts from with its token, so a server that restarts with another one never starts again.
`rke2 token rotate` gives a living cluster another; what it asks of the server is asked here, since it takes the new
token on its command line, for everybody to read.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine.documents.configuration import RKE2_TOKEN_PATH
from machine.host.console import one_line, report, row
from machine.host.errors import NodeError
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import Kubectl

CLUSTERS_TOKEN = "/var/lib/rancher/rke2/server/token"  # noqa: S105 - where it lies
"""Written by RKE2: `K10<hash>::server:<token>`."""
AUTHORITY = "/var/lib/rancher/rke2/server/tls/server-ca.crt"
"""The certificate authority of what a server shows, on its disk."""
_UNIT = "rke2-server.service"
_TRIES = 3
_SECONDS = 60


def take_over(machine: ThisMachine, wanted: str, servers: Sequence[str] = ()) -> None:
    """Make `wanted` the token of this server's cluster, if there is one with another. Nothing restarts.

    `servers`: the addresses of the cluster's others. A server goes by the token that it started with, the datastore by
    the one that it was told last: where one of them has started with `wanted`, nobody needs to be told any more.
    Raises NodeError, before anything has changed, where that is not possible.
    """
    path, known = machine.path(CLUSTERS_TOKEN), clusters(machine)
    token = wanted.strip()
    if known in ("", token):
        return
    other = "nothing was changed: the cluster here has another token than mig-k8s:rke2Token"
    if any(_opens(machine, address, token) for address in servers):
        report(row("token", "the cluster has that of the stack already") + "\n")
        return
    if not machine.active_units(_UNIT):
        raise NodeError(
            f"{other}, and RKE2 does not run, so it cannot be told of the new one. Start it: `sudo systemctl start"
            f" {_UNIT}`, then `pulumi up`"
        )
    kubectl = Kubectl.here(machine)
    nodes = kubectl.get("nodes", "-l", "node-role.kubernetes.io/etcd=true") if kubectl else []
    if not 1 <= len(nodes) <= 1 + len(servers):
        names = ", ".join(sorted(node["metadata"]["name"] for node in nodes)) or "none to be seen"
        raise NodeError(
            f"{other}. All its servers need the new one, and they are not those of the stack file: {names}. Give the"
            f" stack the cluster's own: `sudo sed 's/.*::server://' {path}` there shows it, `pulumi config set --secret"
            " mig-k8s:rke2Token` takes it"
        )
    report(row("token", "the cluster gets that of the stack") + "\n")
    ended = _tell(machine, known, token)
    if not ended.succeeded:
        raise NodeError(f"{other}, and RKE2 did not take the new one: {_words(ended)}. `pulumi up` tries again")


def keep(machine: ThisMachine) -> int:
    """Have the cluster keep this server's passwords as they are now. Returns 0. Raises NodeError.

    RKE2 takes a changed agent token when it starts, keeps it on the disk alone, and at the start after that refuses
    the disk for being newer than the cluster. Telling it the token that it has makes the cluster know.
    """
    token = _password(machine.path(RKE2_TOKEN_PATH))
    for _ in range(_TRIES):  # another server may be doing the same
        ended = _tell(machine, token, token)
        if ended.succeeded:
            return 0
        machine.clock.sleep(1)
    raise NodeError(f"RKE2 runs with its agent token, but cannot keep it over the next start: {_words(ended)}")


def clusters(machine: ThisMachine) -> str:
    """The token of the cluster here; empty where there is none."""
    path = machine.path(CLUSTERS_TOKEN)
    return _password(path) if path.exists() else ""


def _password(path: Path) -> str:
    """The token without what RKE2 puts before it."""
    return path.read_text(encoding="utf-8").strip().rpartition("::server:")[2]


def _tell(machine: ThisMachine, known: str, wanted: str) -> Ended:
    """Ask the server to go on with the token `wanted`. The tokens travel on standard input."""
    return _ask(
        machine,
        known,
        "127.0.0.1",
        "token",
        {"request": "PUT", "header": "Content-Type: application/json", "data": json.dumps({"newToken": wanted})},
        "--fail-with-body",
    )


def _opens(machine: ThisMachine, address: str, token: str) -> bool:
    """Whether the server at this address has started with the token."""
    ended = _ask(machine, token, address, "encrypt/status", {"output": "/dev/null", "write-out": "%{http_code}"})
    return ended.succeeded and ended.stdout not in ("401", "403")


def _ask(machine: ThisMachine, token: str, address: str, what: str, more: Mapping[str, str], *arguments: str) -> Ended:
    """Send a request that servers send, with this token."""
    options = {
        "url": f"https://{address}:9345/v1-rke2/{what}",
        "user": f"server:{token}",
        "cacert": str(machine.path(AUTHORITY)),
        "connect-timeout": "10",
        "max-time": str(_SECONDS),
        **more,
    }
    # In quotes, curl and JSON escape alike: \ and " by a \ before them.
    text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in options.items())
    command = ("curl", "--silent", "--show-error", "--noproxy", "*", *arguments, "--config", "-")
    return machine.run(*command, stdin=text, seconds=_SECONDS + 10)


def _words(ended: Ended) -> str:
    return one_line(f"{ended.stderr} {ended.stdout}")
