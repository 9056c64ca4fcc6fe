"""A stack of the person's: what their own Pulumi knows of it, and the ways into its machines."""

import contextlib
import getpass
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from plan import Problems, Settings, read_settings
from plan.stack_file.document import read_stack_file

CHECKOUT = Path(__file__).resolve().parent.parent
NO_WAY_IN = 255
"""The exit status of ssh where there is no connection."""
NO_PULUMI = "pulumi is not on PATH: install it (www.pulumi.com/docs/install) and `pulumi login`"

_WRONG_USAGE = 2
"""The exit status of a mig-k8s that does not know a subcommand."""


def older_release(status: int) -> str:
    """What may be wrong with a machine whose mig-k8s ended with this."""
    if status != _WRONG_USAGE:
        return ""
    return ". If it does not know that subcommand, it has an older release: `pulumi up` brings this one"


class StackError(Exception):
    """A stack cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Machine:
    """A machine that is there. `ssh` is the command that leads into it, without its remote half."""

    name: str
    role: str
    ssh: tuple[str, ...]


def read(stack_file: Path) -> Settings:
    """The settings of a stack file, its secrets left out. Raises StackError."""
    try:
        file = read_stack_file(stack_file)
        return read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    except Problems as problems:
        raise StackError(str(problems)) from None


def names(stack_file: Path, *, role: str) -> list[str]:
    """The names of the servers or agents, in the order of the stack file. Raises StackError."""
    return [name for pool in read(stack_file).node_pools if pool.role == role for name in pool.machine_names]


def no_way_in(ssh: Sequence[str]) -> str:
    """The message where ssh found no connection, with what to check."""
    return (
        f"`{shlex.join(ssh)}` does not get in, see above. Is the machine on, your address in adminCidrs, your key "
        "the one of ssh.publicKey (SSH_KEY=FILE names one)?"
    )


def held_to(known_hosts: Path, *more: str) -> list[str]:
    """Words for ssh, which then trusts only these host keys and notices a dead connection; `more` of its settings."""
    settings = (
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={known_hosts}",
        "GlobalKnownHostsFile=none",
        "ConnectTimeout=20",
        "ServerAliveInterval=15",
        *more,
    )
    return [word for setting in settings for word in ("-o", setting)]


def identity(stack: str) -> list[str]:
    """Words for ssh: the key of SSH_KEY, or the one `make new-stack` makes, besides whatever ssh tries by itself."""
    given = os.environ.get("SSH_KEY", "").strip()
    key = Path(given or f"~/.ssh/mig-k8s-{stack}").expanduser()
    return ["-i", str(key)] if given or key.exists() else []


def has_passphrase(environment: Mapping[str, str]) -> bool:
    """Whether Pulumi knows the passphrase without asking."""
    return any(name in environment for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"))


class Stack:
    """A stack by its name. Every method raises StackError."""

    def __init__(self, name: str) -> None:
        if not name:
            raise StackError("the name of a stack is needed: NAME=prod")
        self.name = name
        self.file = CHECKOUT / f"Pulumi.{name}.yaml"

    def settings(self) -> Settings:
        """What its file says."""
        return read(self.file)

    def secrets_provider(self) -> dict[str, Any]:
        """What its file says of how its secrets are encrypted; none of them can be read from that."""
        try:
            document = yaml.safe_load(self.file.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError):
            raise StackError(f"{self.file.name} cannot be read: restore it from your repository first") from None
        return {key: value for key, value in document.items() if key not in ("config", "environment")}

    def pulumi(self, *arguments: str, stdin: str | None = None, secret: bool = False) -> str:
        """What Pulumi prints, about this stack. `secret`: it needs the passphrase, where the stack has one."""
        command = ["pulumi", *arguments, "--stack", self.name]
        environment = self.with_passphrase if secret else dict(os.environ)
        try:
            done = subprocess.run(
                command,
                cwd=CHECKOUT,
                env=environment,
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL if secret else None,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise StackError(NO_PULUMI) from None
        if done.returncode:
            raise StackError(f"`{shlex.join(command)}` failed, see above")
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, of which the secret ones are not shown."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return found

    @contextlib.contextmanager
    def machines(self) -> Iterator[list[Machine]]:
        """Its machines that are there, in the order of the stack file, with ways into them while this lasts."""
        outputs, pools = self.outputs(), self.settings().node_pools
        wanted = [(name, pool.role) for pool in pools for name in pool.machine_names]
        there = [(name, role) for name, role in wanted if name in outputs.get("ssh", {})]
        if not any(role == "server" for _, role in there):
            first = next(name for name, role in wanted if role == "server")
            up = f"bring it up first, `pulumi up --stack {self.name}`"
            raise StackError(f"stack {self.name} has no machine {first}: {up}")
        with tempfile.TemporaryDirectory() as folder:
            known_hosts = Path(folder) / "known_hosts"
            lines = [f"{outputs['knownHosts'][name]}\n" for name, _ in there]
            known_hosts.write_text("".join(lines), encoding="utf-8")
            options = [*held_to(known_hosts), *identity(self.name)]
            yield [Machine(name, role, _with_options(outputs["ssh"][name], options)) for name, role in there]

    @cached_property
    def with_passphrase(self) -> dict[str, str]:
        """The environment of Pulumi, which is asked for once where it lacks the passphrase that the stack has."""
        environment = dict(os.environ)
        if "encryptionsalt" in self.secrets_provider() and not has_passphrase(environment):
            environment["PULUMI_CONFIG_PASSPHRASE"] = getpass.getpass(f"passphrase of the stack {self.name}: ")
        return environment


def _with_options(command: str, options: list[str]) -> tuple[str, ...]:
    program, login = shlex.split(command)
    return (program, *options, login)
