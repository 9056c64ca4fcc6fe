"""The operator's Helm release, where Helm did not come to its end: what the next `pulumi up` goes on from.

An install is taken back: what it had made stays, has Helm's marks, and is taken over by the next one. An upgrade
counts as deployed: Helm compares what is wanted with the last revision that was deployed, so what only the unfinished
one had brought would stay for ever, also where it is in the values no more (ADR 0038).
"""

import base64
import gzip
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.engine import Engine
from scripts.stack import held_to

_RELEASE, _KIND = "gpu-operator", "kubernetes:helm.sh/v3:Release"
_KUBECONFIG = "/etc/rancher/rke2/rke2.yaml"
_KUBECTL = ("sudo", "/var/lib/rancher/rke2/bin/kubectl", "--kubeconfig", _KUBECONFIG, "--request-timeout=20s")
_ITS_REVISIONS = f"owner=helm,name={_RELEASE}"
_COLUMNS = (
    '{.metadata.labels.version}{" "}{.metadata.labels.status}{" "}{.metadata.namespace}{" "}{.metadata.name}{"\\n"}'
)
"""Labels and names alone: the rest of such a secret is everything that was released."""


@dataclass(frozen=True, order=True, slots=True)
class _Revision:
    """One of Helm's notes, a Secret."""

    number: int
    status: str
    namespace: str
    name: str

    @property
    def said(self) -> str:
        return f"{self.name} ({self.status})"


class _RefusedError(Exception):
    """What kubectl or ssh said."""


def settle(engine: Engine, identity: Sequence[str]) -> Iterator[str]:
    """Note what Helm did not finish so that Helm goes on from it, and say what; nothing where all is finished.

    `identity`: words for ssh that name the administrator's key. Raises StackError.
    """
    # In clear, for this process alone: the way to the cluster is the connection of a command, which is secret.
    deployment = engine.exported(secrets=True)["deployment"]
    connection = _way_to_the_cluster(deployment.get("resources") or ())
    if connection is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        ssh = _ssh(connection, Path(folder) / "known_hosts", identity)
        jsonpath = f"jsonpath={{range .items[*]}}{_COLUMNS}{{end}}"
        try:
            listed = _run(ssh, "get", "secrets", "-A", "-l", _ITS_REVISIONS, "-o", jsonpath)
        except _RefusedError as refused:
            yield f"Helm: {connection['host']} does not tell of its release, so nothing was looked at: {refused}"
            return
        revisions = sorted(_Revision(int(line.split(" ")[0]), *line.split(" ")[1:]) for line in listed.splitlines())
        if not revisions:
            return
        *before, last = revisions
        pending = last.status.startswith("pending-")
        try:
            if not before and (pending or _was_being_installed(deployment)):
                _run(ssh, "delete", "secret", "--ignore-not-found", "-n", last.namespace, last.name)
                yield f"Helm: {last.said} is taken back; what it made stays: the next `pulumi up` installs over it"
            elif before and (pending or last.status == "failed"):
                _note(ssh, last, "deployed")
                for each in before:
                    if each.status == "deployed":
                        _note(ssh, each, "superseded")
                yield f"Helm: {last.said} counts as deployed; what it made stays: the next `pulumi up` upgrades from it"
        except _RefusedError as refused:
            yield f"Helm: the note of {last.said} could not be changed, run this again: {refused}"


def _note(ssh: Sequence[str], revision: _Revision, status: str) -> None:
    """Change the status of a revision, in the label that Helm searches by and in the note itself."""
    secret = json.loads(_run(ssh, "get", "secret", "-n", revision.namespace, revision.name, "-o", "json"))
    note = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    note["info"]["status"] = status
    packed = base64.b64encode(gzip.compress(json.dumps(note).encode()))
    secret["data"]["release"] = base64.b64encode(packed).decode()
    secret["metadata"]["labels"]["status"] = status
    # The secret has the version that was read: what another Helm noted meanwhile is not written over.
    _run(ssh, "replace", "-f", "-", stdin=json.dumps(secret))


def _was_being_installed(deployment: Mapping[str, Any]) -> bool:
    """Whether the state waits for the end of an install; Helm itself may have come to it."""
    return any(
        each["type"] == "creating" and each["resource"]["type"] == _KIND
        for each in deployment.get("pending_operations") or ()
    )


def _way_to_the_cluster(resources: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The connection of the command that reads the kubeconfig; None while the state has none."""
    for each in resources:
        connection = (each.get("inputs") or {}).get("connection")
        if _KUBECONFIG in str((each.get("inputs") or {}).get("create")) and connection:
            found: Mapping[str, Any] = _clear(connection)
            return found
    return None


def _clear(value: Any) -> Any:  # noqa: ANN401 - whatever the state has
    """A value of a state that was exported in clear, without the marks of what is secret in it."""
    if isinstance(value, dict):
        return (
            _clear(json.loads(value["plaintext"])) if "plaintext" in value else {k: _clear(v) for k, v in value.items()}
        )
    return value


def _ssh(connection: Mapping[str, Any], known_hosts: Path, identity: Sequence[str]) -> list[str]:
    """The command that leads to the cluster, held to the host key that `pulumi up` is held to."""
    known_hosts.write_text(f"{connection['host']} {connection['hostKey']}\n", encoding="utf-8")
    return ["ssh", *held_to(known_hosts, "BatchMode=yes"), *identity, f"{connection['user']}@{connection['host']}"]


def _run(ssh: Sequence[str], *arguments: str, stdin: str = "") -> str:
    """What kubectl on the server says to these arguments. Raises _RefusedError with the last line of its errors."""
    command = [*ssh, shlex.join((*_KUBECTL, *arguments))]
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        raise _RefusedError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    return done.stdout
