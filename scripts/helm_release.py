"""The operator's Helm release, where Helm was killed at it: the revision that it did not finish is taken back.

What Helm had made stays, and bears Helm's marks: the next install or upgrade takes it over.
"""

import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.engine import Engine
from scripts.stack import held_to

_RELEASE, _KIND = "gpu-operator", "kubernetes:helm.sh/v3:Release"
_KUBECONFIG = "/etc/rancher/rke2/rke2.yaml"
_KUBECTL = ("sudo", "/var/lib/rancher/rke2/bin/kubectl", "--kubeconfig", _KUBECONFIG, "--request-timeout=20s")
_ITS_REVISIONS = f"owner=helm,name={_RELEASE}"
_COLUMNS = '{.metadata.namespace}{" "}{.metadata.name}{" "}{.metadata.labels.status}{"\\n"}'
"""Labels alone: the rest of such a secret is everything that was released."""


def take_back(engine: Engine, identity: Sequence[str]) -> Iterator[str]:
    """Take back what Helm did not finish and say what it was; nothing where there is nothing, or no cluster yet.

    `identity`: words for ssh that name the administrator's key. Raises StackError.
    """
    # In clear, for this process alone: the way to the cluster is the connection of a command, which is secret.
    deployment = engine.exported(secrets=True)["deployment"]
    connection = _way_to_the_cluster(deployment.get("resources") or ())
    if connection is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        ssh = _ssh(connection, Path(folder) / "known_hosts", identity)
        done = _run(
            ssh,
            *_KUBECTL,
            "get",
            "secrets",
            "-A",
            "-l",
            _ITS_REVISIONS,
            "-o",
            f"jsonpath={{range .items[*]}}{_COLUMNS}{{end}}",
        )
        if done.returncode:
            yield f"Helm: {connection['host']} does not tell of its release, so nothing was looked at: {_last(done)}"
            return
        revisions = [line.split(" ") for line in done.stdout.splitlines()]
        unknown = _was_being_installed(deployment) and len(revisions) == 1
        for namespace, name, status in revisions:
            if not status.startswith("pending-") and not unknown:
                continue
            done = _run(ssh, *_KUBECTL, "delete", "secret", "--ignore-not-found", "-n", namespace, name)
            if done.returncode:
                yield f"Helm: {name} could not be taken back, run this again: {_last(done)}"
            else:
                left = "installs" if len(revisions) == 1 else "upgrades"
                yield f"Helm: {name} ({status}) is taken back; what it made stays: the next `pulumi up` {left} over it"


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


def _run(ssh: Sequence[str], *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*ssh, shlex.join(command)], stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False
    )


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    """The end of what a command said, in one line."""
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
