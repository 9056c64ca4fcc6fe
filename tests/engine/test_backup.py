"""`make backup` and `make restore` with a Pulumi of the user's own: the file, what opens it, and what does not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from machine.documents.backup import Backup, Restored, packed
from sandbox.engine.environment import Environment

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
NODE = "mlops-k8s-master"
BACKUP = Backup(NODE, "2026-11-27T19:00:00Z", "v1.36.4+rke2r1", "the token", "s-1", *packed(b"the datastore"))
SSH = """#!/bin/sh
for command in "$@"; do :; done
echo "${command#sudo mig-k8s }" >>FOLDER/calls
cat >FOLDER/stdin
case "$command" in *backup) cat FOLDER/backup ;; *) cat FOLDER/restored ;; esac
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Person:
    """With a checkout, a stack prod that is up, and an ssh that the test answers."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self.folder, self.checkout = folder, folder / "checkout"
        self.checkout.mkdir()
        for name in ("machine", "plan", "scripts"):
            shutil.copytree(CHECKOUT / name, self.checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(CHECKOUT / "Pulumi.yaml", self.checkout)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "pulumi").symlink_to(environment.programs / "pulumi")
        (programs / "ssh").write_text(SSH.replace("FOLDER", str(folder)))
        (programs / "ssh").chmod(0o755)
        (folder / "backup").write_text(BACKUP.to_json())
        (folder / "restored").write_text(Restored("1f2e", "10.60.0.4").to_json())
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "SSH_"))},
            "HOME": str(folder / "home"),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def bring_up(self) -> None:
        """Bring the stack up, as far as its outputs tell."""
        (self.folder / "state").mkdir(exist_ok=True)
        self.pulumi("stack", "init", "prod")
        stack = {"urn": "urn:pulumi:prod::mig-k8s::pulumi:pulumi:Stack::mig-k8s-prod", "type": "pulumi:pulumi:Stack"}
        outputs = {"ssh": {NODE: "ssh azureuser@203.0.113.1"}, "knownHosts": {NODE: "203.0.113.1 ssh-ed25519 AAAA"}}
        deployment = {"resources": [{**stack, "custom": False, "outputs": outputs}]}
        self.pulumi("stack", "import", "--force", stdin=json.dumps({"version": 3, "deployment": deployment}))

    def pulumi(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.checkout,
            env=self.variables,
            input=stdin,
            text=True,
            check=True,
            capture_output=True,
        )
        return done.stdout

    def run(self, script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", f"scripts.{script}", "prod", *arguments],
            cwd=self.checkout,
            env=self.variables | variables,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=90,
        )

    def asked(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def person(tmp_path: Path, environment: Environment) -> Person:
    made = Person(tmp_path, environment)
    made.bring_up()
    salt = (made.checkout / "Pulumi.prod.yaml").read_text()
    (made.checkout / "Pulumi.prod.yaml").write_text(salt + (CHECKOUT / "examples/single.yaml").read_text())
    made.pulumi("config", "set", "--secret", "--stack", "prod", "mig-k8s:rke2Token", stdin="the token")
    return made


def test_a_backup_is_one_file_of_its_owner_that_tells_what_it_is_and_no_secret(person: Person) -> None:
    done = person.run("backup")
    assert done.returncode == 0, done.stderr
    (file,) = person.checkout.glob("*.backup")
    assert file.name == "prod-2026-11-27T190000Z.backup"
    assert done.stdout.startswith(f"{file.name}: the cluster of prod as {NODE} had it at 2026-11-27T19:00:00Z, RKE2 v1")
    assert file.stat().st_mode & 0o777 == 0o600
    head, _, sealed = file.read_bytes().partition(b"\n")
    assert json.loads(head)["stack"] == "prod"
    for secret in (b"the token", b"the datastore", BACKUP.snapshot.encode()):
        assert secret not in head + sealed
    assert [path for path in person.checkout.iterdir() if path.name.startswith(".prod")] == []
    again = person.run("backup", "--file", str(file))
    assert (again.returncode, again.stdout) == (1, "")
    assert f"{file} is there already" in again.stderr


def test_it_opens_with_the_stack_file_and_its_passphrase_alone(person: Person, tmp_path: Path) -> None:
    """The state is gone, and with it all machines; the token was changed since."""
    file = tmp_path / "kept"
    assert person.run("backup", "--file", str(file)).returncode == 0
    shutil.rmtree(tmp_path / "state")
    person.bring_up()
    person.pulumi("config", "set", "--secret", "--stack", "prod", "mig-k8s:rke2Token", stdin="another")

    other = person.run("restore", str(file))
    assert "the backup's cluster has another token than prod" in other.stderr
    taken = person.run("restore", str(file), "--take-token")
    assert taken.returncode == 0, taken.stderr
    assert person.pulumi("config", "get", "--stack", "prod", "mig-k8s:rke2Token").strip() == "the token"
    said = other.stdout + other.stderr + taken.stdout + taken.stderr
    assert "the token" not in said.replace("the token of", "")

    asked = len(person.asked())
    refused = person.run("restore", str(file))
    assert refused.returncode == 1
    assert "Nothing was changed. CONFIRM=prod does it." in refused.stdout
    assert person.asked()[asked:] == ["restore --check"]
    done = person.run("restore", str(file), "--confirm", "prod")
    assert done.returncode == 0, done.stderr
    assert person.asked()[asked + 1 :] == ["restore --check", "restore", "restore --end"]


def test_what_does_not_open_it_is_told_and_nobody_is_asked(person: Person, tmp_path: Path) -> None:
    file, damaged, none = tmp_path / "kept", tmp_path / "damaged", tmp_path / "none"
    assert person.run("backup", "--file", str(file)).returncode == 0
    asked = person.asked()
    content = file.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    none.write_text("{}\n")
    assert "is damaged" in person.run("restore", str(damaged)).stderr
    damaged.write_bytes(content.replace(b'"node": "mlops', b'"node": "other'))
    assert "is damaged" in person.run("restore", str(damaged)).stderr
    assert "is not a backup that this checkout can read" in person.run("restore", str(none)).stderr
    wrong = person.run("restore", str(file), PULUMI_CONFIG_PASSPHRASE="wrong")
    assert wrong.returncode == 1
    assert "passphrase" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    assert "server-9 is not a server of prod" in person.run("restore", str(file), "--without", "server-9").stderr
    assert person.asked() == asked
