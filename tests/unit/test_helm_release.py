"""What is taken back of a Helm release that was killed, over an ssh and a kubectl that note what they are asked."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.engine import Engine
from scripts.helm_release import take_back

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
FIRST = "gpu-operator sh.helm.release.v1.gpu-operator.v1"
SECOND = "gpu-operator sh.helm.release.v1.gpu-operator.v2"


@dataclass(frozen=True, kw_only=True)
class Exporting(Engine):
    """A Pulumi with this state."""

    deployment: dict[str, Any]

    def tried(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        assert (arguments, stdin) == (("stack", "export", "--show-secrets"), "")
        return subprocess.CompletedProcess(arguments, 0, json.dumps({"deployment": self.deployment}), "")


@dataclass(frozen=True)
class Way:
    """The ssh on PATH."""

    folder: Path

    def answers(self, *revisions: str, status: int = 0) -> None:
        (self.folder / "revisions").write_text("".join(f"{each}\n" for each in revisions))
        script = (
            f'printf "%s\\n" "$*" >>{self.folder}/calls\ncase "$*" in *" get "*) cat {self.folder}/revisions ;; esac\n'
        )
        (self.folder / "ssh").write_text(f"#!/bin/sh\n{script}[ {status} = 0 ] || echo no way in >&2\nexit {status}\n")
        (self.folder / "ssh").chmod(0o755)

    def deleted(self) -> list[str]:
        calls = [shlex.split(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [call[-1] for call in calls if "delete" in call]


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return Way(tmp_path)


def engine(*resources: dict[str, Any], pending: list[dict[str, Any]] | None = None) -> Exporting:
    deployment = {"resources": list(resources), "pending_operations": pending or []}
    return Exporting(stack="prod", folder=Path(), variables={}, deployment=deployment)


def test_without_a_cluster_in_the_state_nobody_is_asked() -> None:
    assert list(take_back(engine({"type": "pulumi:pulumi:Stack"}), [])) == []


def test_an_install_that_was_killed_is_taken_back(way: Way) -> None:
    way.answers(f"{FIRST} pending-install")
    (line,) = take_back(engine(KUBECONFIG), [])
    assert line == (
        "Helm: sh.helm.release.v1.gpu-operator.v1 (pending-install) is taken back; what it made stays: the next"
        " `pulumi up` installs over it"
    )
    assert way.deleted() == ["sh.helm.release.v1.gpu-operator.v1"]


def test_of_an_upgrade_that_was_killed_the_last_revision_goes_and_the_deployed_one_stays(way: Way) -> None:
    way.answers(f"{FIRST} deployed", f"{SECOND} pending-upgrade")
    (line,) = take_back(engine(KUBECONFIG), [])
    assert line.endswith("(pending-upgrade) is taken back; what it made stays: the next `pulumi up` upgrades over it")
    assert way.deleted() == ["sh.helm.release.v1.gpu-operator.v2"]


def test_an_install_that_came_to_its_end_unseen_is_taken_back_too(way: Way) -> None:
    """The provider outlives a killed CLI; the next install would be told that the name is in use."""
    way.answers(f"{FIRST} deployed")
    (line,) = take_back(engine(KUBECONFIG, pending=[INSTALLING]), [])
    assert "(deployed) is taken back" in line


@pytest.mark.parametrize("status", ["deployed", "failed"])
def test_a_release_that_nobody_works_on_stays(way: Way, status: str) -> None:
    way.answers(f"{FIRST} superseded", f"{SECOND} {status}")
    assert list(take_back(engine(KUBECONFIG, pending=[INSTALLING]), [])) == []
    way.answers(f"{FIRST} {status}")
    assert list(take_back(engine(KUBECONFIG), [])) == []
    assert way.deleted() == []


def test_the_connection_is_held_to_the_host_key_of_the_state_and_its_private_key_is_not_used(way: Way) -> None:
    way.answers()
    assert list(take_back(engine(KUBECONFIG), ["-i", "mine"])) == []
    call = (way.folder / "calls").read_text()
    assert "-o StrictHostKeyChecking=yes" in call
    assert "-i mine anna@203.0.113.9 sudo /var/lib/rancher/rke2/bin/kubectl" in call
    assert "SECRET" not in call


def test_a_cluster_that_does_not_answer_is_told_and_stops_nothing(way: Way) -> None:
    way.answers(status=255)
    (line,) = take_back(engine(KUBECONFIG), [])
    assert line == "Helm: 203.0.113.9 does not tell of its release, so nothing was looked at: no way in"
