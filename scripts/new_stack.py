"""Make a stack file: keys, the settings that have no default, and the secrets, encrypted by the user's own Pulumi.

    make new-stack NAME=prod [LOCATION=westeurope] [ADMIN_CIDRS="203.0.113.7/32 …"] [SSH_KEY=~/.ssh/id_ed25519]

What is not given is asked for; without a terminal, it has to be given. Secrets travel to Pulumi on standard input,
never on a command line. Everything is checked before anything is made.
"""

import getpass
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plan import Problems, read_settings
from scripts.stack import CHECKOUT, NO_PULUMI, has_passphrase

_SECRETS = ("sshPrivateKey", "sshHostSecret", "rke2Token")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_HEADER = "# Every key and its default: docs/config-reference.yaml. Check it with: python -m plan check {file}\n"
_QUESTIONS = {
    "LOCATION": "Azure location, as in `az account list-locations` (e.g. westeurope)",
    "ADMIN_CIDRS": "networks that may reach SSH and the Kubernetes API (your own address: 203.0.113.7/32)",
}


class NewStackError(Exception):
    """The stack cannot be made; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What has no default."""

    location: str
    admin_cidrs: list[str]
    ssh_key: Path
    """The administrator's private key; made if it is not there."""


def main(arguments: list[str]) -> int:
    """Make the stack named by the only argument; the exit status."""
    try:
        name = _name(arguments)
        file = CHECKOUT / f"Pulumi.{name}.yaml"
        if file.exists():
            raise NewStackError(f"{file.name} is already there: choose another NAME, or edit that file")
        if shutil.which("pulumi") is None:
            raise NewStackError(NO_PULUMI)
        answers = _answers(name)
        _require_valid(answers)
        _make(name, file, answers)
    except NewStackError as error:
        print(f"new-stack: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nnew-stack: interrupted", file=sys.stderr)
        return 130
    print(
        f"{file.name} is ready, its secrets encrypted. Next:\n"
        f"  python -m plan show {file.name}\n"
        f"  pulumi install && pulumi preview --stack {name}\n"
        f"The administrator's key is {answers.ssh_key}; `pulumi stack output ssh` says where to use it."
    )
    return 0


def _name(arguments: list[str]) -> str:
    if len(arguments) != 1 or not _NAME.fullmatch(arguments[0]):
        raise NewStackError("a name is needed, of letters, digits, -, _ and .: make new-stack NAME=prod")
    return arguments[0]


def _answers(name: str) -> Answers:
    given = {key: os.environ.get(key, "").strip() for key in (*_QUESTIONS, "SSH_KEY")}
    default_key = f"~/.ssh/mig-k8s-{name}"
    if sys.stdin.isatty():
        for key, question in _QUESTIONS.items():
            given[key] = given[key] or input(f"{question}: ").strip()
        given["SSH_KEY"] = (
            given["SSH_KEY"] or input(f"private SSH key, made if it is not there [{default_key}]: ").strip()
        )
    elif missing := [key for key in _QUESTIONS if not given[key]]:
        raise NewStackError(
            f"there is no terminal to ask on: give {' and '.join(missing)}, e.g. make new-stack LOCATION=…"
        )
    return Answers(
        location=given["LOCATION"],
        admin_cidrs=[cidr for cidr in re.split(r"[\s,]+", given["ADMIN_CIDRS"]) if cidr],
        ssh_key=Path(given["SSH_KEY"] or default_key).expanduser(),
    )


def _require_valid(answers: Answers) -> None:
    """Hold the answers against the program's own rules before anything is made, with an example for a key yet to be."""
    key = _public_key(answers.ssh_key) if answers.ssh_key.exists() else _example_key()
    values = _values(answers, key)
    try:
        read_settings(values, location=answers.location, secrets=_SECRETS)
    except Problems as problems:
        raise NewStackError(str(problems)) from None


def _example_key() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _public_key(_keygen(Path(folder) / "key"))


def _make(name: str, file: Path, answers: Answers) -> None:
    if not answers.ssh_key.exists():
        answers.ssh_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keygen(answers.ssh_key)
        print(f"made {answers.ssh_key}")
    environment = dict(os.environ)
    # On a terminal Pulumi asks for a new passphrase here, if this backend wants one.
    if subprocess.run(["pulumi", "stack", "init", name], cwd=CHECKOUT, env=environment, check=False).returncode:
        raise NewStackError(f"`pulumi stack init {name}` failed; see above")
    written = _load(file)
    if "encryptionsalt" in written and not has_passphrase(environment):
        environment["PULUMI_CONFIG_PASSPHRASE"] = getpass.getpass("that passphrase again, to encrypt the secrets: ")
    values = (answers.ssh_key.read_text(), f"a:{secrets.token_urlsafe(32)}", secrets.token_urlsafe(32))
    for key, value in zip(_SECRETS, values, strict=True):
        _set_secret(name, key, value, environment)
    written = _load(file)
    config = {"azure-native:location": answers.location}
    config |= {f"mig-k8s:{key}": value for key, value in _values(answers, _public_key(answers.ssh_key)).items()}
    document = {**written, "config": {**config, **written["config"]}}
    file.write_text(_HEADER.format(file=file.name) + yaml.safe_dump(document, sort_keys=False, width=120))


def _values(answers: Answers, public_key: str) -> dict[str, Any]:
    return {"adminCidrs": answers.admin_cidrs, "ssh": {"publicKey": public_key}}


def _set_secret(stack: str, key: str, value: str, environment: Mapping[str, str]) -> None:
    command = ["pulumi", "config", "set", "--secret", "--non-interactive", "--stack", stack, f"mig-k8s:{key}"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, input=value + "\n", text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise NewStackError(
            f"Pulumi did not take the secret {key}:\n{done.stderr.strip()}\n"
            f"To begin again: pulumi stack rm {stack}, and remove Pulumi.{stack}.yaml"
        )


def _load(file: Path) -> dict[str, Any]:
    """The stack file as Pulumi left it; backends with their own encryption write none before the first key."""
    loaded = yaml.safe_load(file.read_text()) if file.exists() else None
    return loaded or {}


def _keygen(path: Path) -> Path:
    comment = f"mig-k8s {path.name}"
    _ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    return path


def _public_key(path: Path) -> str:
    """The public half; refuses a key with a passphrase, since a remote command cannot type one."""
    done = _ssh_keygen("-y", "-P", "", "-f", str(path), check=False)
    if done.returncode:
        raise NewStackError(
            f"{path} is not a private key without a passphrase ({done.stderr.strip()}): name another one as SSH_KEY, "
            "or use ssh.agentSocketPath in the stack file"
        )
    return done.stdout.strip()


def _ssh_keygen(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(["ssh-keygen", *arguments], text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise NewStackError("ssh-keygen is not installed (Debian: apt-get install openssh-client)") from None
    if check and done.returncode:
        raise NewStackError(f"ssh-keygen failed: {done.stderr.strip()}")
    return done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
