"""`make new-stack` with a Pulumi login of the user's own: a passphrase and a local backend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sandbox.engine.environment import Environment

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
USED = ("plan", "machine", "scripts", "cloud-init", "Pulumi.yaml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what new-stack needs: it writes a stack file beside Pulumi.yaml."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in USED:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


@pytest.fixture
def variables(tmp_path: Path, environment: Environment) -> dict[str, str]:
    (tmp_path / "state").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
        "HOME": str(tmp_path / "home"),
        "PATH": f"{environment.programs}:{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "LOCATION": "westeurope",
        "ADMIN_CIDRS": "203.0.113.7/32, 198.51.100.0/24",
        "SSH_KEY": str(tmp_path / "home/.ssh/mig"),
    }


def new_stack(checkout: Path, variables: dict[str, str], name: str = "prod") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.new_stack", name]
    return subprocess.run(
        command, cwd=checkout, env=variables, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )


def test_it_writes_a_stack_file_with_encrypted_secrets_that_pulumi_can_read(
    checkout: Path, variables: dict[str, str]
) -> None:
    done = new_stack(checkout, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (checkout / "Pulumi.prod.yaml").read_text()
    config = yaml.safe_load(text)["config"]
    assert config["azure-native:location"] == "westeurope"
    assert config["mig-k8s:adminCidrs"] == ["203.0.113.7/32", "198.51.100.0/24"]
    assert config["mig-k8s:ssh"]["publicKey"].startswith("ssh-ed25519 ")
    for key in ("sshPrivateKey", "sshHostSecret", "rke2Token"):
        assert list(config[f"mig-k8s:{key}"]) == ["secure"]
    private = Path(variables["SSH_KEY"]).read_text()
    assert Path(variables["SSH_KEY"]).stat().st_mode & 0o077 == 0
    said = done.stdout + done.stderr
    assert [line for line in private.splitlines() if line in text or line in said] == []
    read_back = subprocess.check_output(
        ["pulumi", "config", "get", "--stack", "prod", "mig-k8s:sshPrivateKey"], cwd=checkout, env=variables, text=True
    )
    assert read_back.split() == private.split()


def test_it_never_overwrites_a_stack_file(checkout: Path, variables: dict[str, str]) -> None:
    (checkout / "Pulumi.prod.yaml").write_text("mine\n")
    done = new_stack(checkout, variables)
    assert done.returncode == 1
    assert done.stderr.startswith("new-stack: Pulumi.prod.yaml is already there")
    assert (checkout / "Pulumi.prod.yaml").read_text() == "mine\n"


def test_wrong_answers_are_refused_before_anything_is_made(checkout: Path, variables: dict[str, str]) -> None:
    done = new_stack(checkout, {**variables, "LOCATION": "West Europe", "ADMIN_CIDRS": "0.0.0.0/0"})
    assert done.returncode == 1
    assert "2 problems in this stack" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / "Pulumi.prod.yaml").exists()
    assert not Path(variables["SSH_KEY"]).exists()


def test_without_a_terminal_it_says_what_has_to_be_given(checkout: Path, variables: dict[str, str]) -> None:
    silent = {name: value for name, value in variables.items() if name not in ("LOCATION", "ADMIN_CIDRS")}
    done = new_stack(checkout, silent)
    assert done.returncode == 1
    assert "there is no terminal to ask on: give LOCATION and ADMIN_CIDRS" in done.stderr


def test_a_key_with_a_passphrase_is_refused(checkout: Path, variables: dict[str, str]) -> None:
    key = Path(variables["SSH_KEY"])
    key.parent.mkdir(parents=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", key], check=True)
    done = new_stack(checkout, variables)
    assert done.returncode == 1
    assert "is not a private key without a passphrase" in done.stderr
