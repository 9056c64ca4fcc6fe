"""The ways to the machines of a living stack: your own Pulumi tells them, and the host keys that they are held to.

Your own SSH key or agent opens them.
"""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plan import Problems, read_settings
from plan.stack_file.document import read_stack_file

CHECKOUT = Path(__file__).resolve().parent.parent
NO_WAY_IN = 255
"""The exit status of ssh where there is no connection."""


class ScriptError(Exception):
    """What was asked for was not done; the text says why and what to do."""


def no_way_in(ssh: Sequence[str]) -> str:
    """What to say, and to ask oneself, where ssh found no connection."""
    return (
        f"`{shlex.join(ssh)}` does not get in, see above. Is the machine on, your address in adminCidrs, your key "
        "the one of ssh.publicKey (SSH_KEY=FILE names one)?"
    )


def machines(stack_file: Path, *, role: str) -> list[str]:
    """The names of the servers or agents, in the order of the stack file. Raises ScriptError."""
    try:
        file = read_stack_file(stack_file)
        settings = read_settings(file.mapping, location=file.location, secrets=file.secrets, ask_for_secrets=False)
    except Problems as problems:
        raise ScriptError(str(problems)) from None
    return [name for pool in settings.node_pools if pool.role == role for name in pool.machine_names]


def stack_file_of(stack: str) -> Path:
    """Where the stack file of this stack lies."""
    return CHECKOUT / f"Pulumi.{stack}.yaml"


@contextmanager
def ways_in(stack: str) -> Iterator[dict[str, list[str]]]:
    """An ssh command without its remote half for every machine of the stack that is up, by name. Raises ScriptError."""
    outputs = _outputs(stack)
    logins: Mapping[str, str] = outputs.get("ssh", {})
    with tempfile.TemporaryDirectory() as folder:
        known_hosts = Path(folder) / "known_hosts"
        lines = [f"{outputs['knownHosts'][machine]}\n" for machine in logins]
        known_hosts.write_text("".join(lines), encoding="utf-8")
        settings = (
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={known_hosts}",
            "GlobalKnownHostsFile=none",
            "ConnectTimeout=20",
            "ServerAliveInterval=15",
        )
        options = [word for setting in settings for word in ("-o", setting)] + _identity(stack)
        parts = {machine: shlex.split(login) for machine, login in logins.items()}
        yield {machine: [program, *options, *login] for machine, (program, *login) in parts.items()}


def _identity(stack: str) -> list[str]:
    """The key of SSH_KEY, or the one `make new-stack` makes, besides whatever ssh tries by itself."""
    given = os.environ.get("SSH_KEY", "").strip()
    key = Path(given or f"~/.ssh/mig-k8s-{stack}").expanduser()
    return ["-i", str(key)] if given or key.exists() else []


def _outputs(stack: str) -> dict[str, Any]:
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise ScriptError(
            "pulumi is not on PATH: install it (www.pulumi.com/docs/install) and `pulumi login`"
        ) from None
    if done.returncode:
        raise ScriptError(f"`{shlex.join(command)}` failed, see above")
    outputs: dict[str, Any] = json.loads(done.stdout)
    return outputs
