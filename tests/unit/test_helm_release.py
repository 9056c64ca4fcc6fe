"""What becomes of a Helm release that did not come to its end: an ssh and a kubectl note what they are asked."""

import base64
import gzip
import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.engine import Engine
from scripts.helm_release import settle

_MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
CONNECTION = {"host": "203.0.113.9", "user": "anna", "hostKey": "ssh-ed25519 AAAA", "privateKey": "-----SECRET-----"}
KUBECONFIG = {
    "type": "command:remote:Command",
    "inputs": {
        "create": "sudo timeout -k 10 60 cat /etc/rancher/rke2/rke2.yaml",
        "connection": {**_MARK, "plaintext": json.dumps(CONNECTION)},
    },
}
INSTALLING = {"type": "creating", "resource": {"type": "kubernetes:helm.sh/v3:Release"}}
NAME = "sh.helm.release.v1.gpu-operator.v"


@dataclass(frozen=True, kw_only=True)
class Exporting(Engine):
    """A Pulumi with this state."""

    deployment: dict[str, Any]

    def tried(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        assert (arguments, stdin) == (("stack", "export", "--show-secrets"), "")
        return subprocess.CompletedProcess(arguments, 0, json.dumps({"deployment": self.deployment}), "")


@dataclass(frozen=True)
class Way:
    """The ssh on PATH, and the kubectl at its end."""

    folder: Path

    def answers(self, *statuses: str, status: int = 0, replaces: int = 0) -> None:
        """One revision for each of `statuses`; ssh ends with `status`, and with `replaces` where it is to write."""
        for number, its in enumerate(statuses, 1):
            (self.folder / f"{NAME}{number}").write_text(json.dumps(self.secret(number, its)))
        rows = [f"{number} {its} gpu-operator {NAME}{number}\n" for number, its in enumerate(statuses, 1)]
        (self.folder / "revisions").write_text("".join(reversed(rows)))  # by name v10 comes before v2
        (self.folder / "ssh").write_text(
            f"""#!/bin/sh
            cd {self.folder}
            printf '%s\\n' "$*" >>calls
            case "$*" in
            *" get secrets "*) cat revisions ;;
            *" get secret "*) for word in $*; do case $word in {NAME}*) cat "$word" ;; esac; done ;;
            *" replace "*) cat >>replaced; echo >>replaced; [ {replaces} = 0 ] || {{ echo Conflict >&2; exit 1; }} ;;
            esac
            [ {status} = 0 ] || echo no way in >&2
            exit {status}
            """
        )
        (self.folder / "ssh").chmod(0o755)

    @staticmethod
    def secret(number: int, status: str) -> dict[str, Any]:
        """The Secret in which Helm keeps a revision: JSON, packed, as text, which Kubernetes encodes once more."""
        note = {"name": "gpu-operator", "info": {"status": status, "notes": "é"}, "config": {"a": "SECRET"}}
        packed = base64.b64encode(gzip.compress(json.dumps(note).encode()))
        labels = {"owner": "helm", "name": "gpu-operator", "status": status, "version": str(number)}
        metadata = {"name": f"{NAME}{number}", "resourceVersion": str(40 + number), "labels": labels}
        return {"kind": "Secret", "metadata": metadata, "data": {"release": base64.b64encode(packed).decode()}}

    def deleted(self) -> list[str]:
        calls = [shlex.split(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call[-1] for call in calls if "delete" in call]

    def noted(self) -> list[tuple[str, str, str, str, str]]:
        """(name, version read, label, status in the note, a value in it) of each revision that was written."""
        file = self.folder / "replaced"
        found = []
        for line in file.read_text().splitlines() if file.exists() else ():
            secret = json.loads(line)
            metadata = secret["metadata"]
            note = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
            about = (metadata["name"], metadata["resourceVersion"], metadata["labels"]["status"])
            found.append((*about, note["info"]["status"], note["config"]["a"]))
        return found


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Way(tmp_path)


def engine(*resources: dict[str, Any], pending: list[dict[str, Any]] | None = None) -> Exporting:
    deployment = {"resources": list(resources), "pending_operations": pending or []}
    return Exporting(stack="prod", folder=Path(), variables={}, deployment=deployment)


def test_without_a_cluster_in_the_state_nobody_is_asked() -> None:
    assert list(settle(engine({"type": "pulumi:pulumi:Stack"}), [])) == []


def test_an_install_that_was_killed_is_taken_back(way: Way) -> None:
    way.answers("pending-install")
    (line,) = settle(engine(KUBECONFIG), [])
    assert line == (
        f"Helm: {NAME}1 (pending-install) is taken back; what it made stays: the next `pulumi up` installs over it"
    )
    assert (way.deleted(), way.noted()) == ([f"{NAME}1"], [])


@pytest.mark.parametrize("status", ["pending-upgrade", "pending-rollback", "failed"])
def test_an_upgrade_that_did_not_end_counts_as_deployed_so_that_what_it_brought_can_go_again(
    way: Way, status: str
) -> None:
    """Helm compares with the deployed revision alone: what is in neither that nor the values would stay."""
    way.answers("superseded", "deployed", "failed", status)
    (line,) = settle(engine(KUBECONFIG), [])
    assert line == (
        f"Helm: {NAME}4 ({status}) counts as deployed; what it made stays: the next `pulumi up` upgrades from it"
    )
    assert way.noted() == [
        (f"{NAME}4", "44", "deployed", "deployed", "SECRET"),
        (f"{NAME}2", "42", "superseded", "superseded", "SECRET"),
    ]
    assert way.deleted() == []
    assert "SECRET" not in line + (way.folder / "calls").read_text()


def test_the_last_of_ten_revisions_is_the_tenth(way: Way) -> None:
    way.answers(*["superseded"] * 8, "deployed", "pending-upgrade")
    (line,) = settle(engine(KUBECONFIG), [])
    assert line.startswith(f"Helm: {NAME}10 (pending-upgrade) counts as deployed")


def test_a_note_that_another_helm_changed_meanwhile_is_left_and_said(way: Way) -> None:
    way.answers("deployed", "failed", replaces=1)
    (line,) = settle(engine(KUBECONFIG), [])
    assert line == f"Helm: the note of {NAME}2 (failed) could not be changed, run this again: Conflict"


def test_an_install_that_came_to_its_end_unseen_is_taken_back_too(way: Way) -> None:
    """The provider outlives a killed CLI; the next install would be told that the name is in use."""
    way.answers("deployed")
    (line,) = settle(engine(KUBECONFIG, pending=[INSTALLING]), [])
    assert "(deployed) is taken back" in line


@pytest.mark.parametrize(
    ("statuses", "pending"),
    [(["superseded", "deployed"], [INSTALLING]), (["deployed"], []), (["failed"], []), ([], [INSTALLING])],
)
def test_a_release_that_helm_goes_on_from_by_itself_stays(
    way: Way, statuses: list[str], pending: list[dict[str, Any]]
) -> None:
    way.answers(*statuses)
    assert list(settle(engine(KUBECONFIG, pending=pending), [])) == []
    assert (way.deleted(), way.noted()) == ([], [])


def test_the_connection_is_held_to_the_host_key_of_the_state_and_its_private_key_is_not_used(way: Way) -> None:
    way.answers()
    assert list(settle(engine(KUBECONFIG), ["-i", "mine"])) == []
    call = (way.folder / "calls").read_text()
    assert "-o StrictHostKeyChecking=yes" in call
    assert "-i mine anna@203.0.113.9 sudo /var/lib/rancher/rke2/bin/kubectl" in call
    assert "SECRET" not in call


def test_a_cluster_that_does_not_answer_is_told_and_stops_nothing(way: Way) -> None:
    way.answers(status=255)
    (line,) = settle(engine(KUBECONFIG), [])
    assert line == "Helm: 203.0.113.9 does not tell of its release, so nothing was looked at: no way in"
