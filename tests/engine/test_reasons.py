"""Why a machine lets nobody in is told within the minute, by the program's own dialling and the real engine."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from ssh_server import SshServer, new_key, ssh_server

from sandbox.engine.environment import STACK, Environment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]
CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = CHECKOUT / "tests/engine/programs/dials_machines.py"
REASONS = {
    "wrong-key": r"ssh: handshake failed: ssh: host key mismatch",
    "no-login": r"ssh: handshake failed: ssh: unable to authenticate, attempted methods \[none publickey\]",
    "refused-port": r"dial tcp 127\.0\.0\.1:\d+: connect: connection refused",
}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[SshServer]:
    """An SSH server to which no client's key is good enough."""
    folder = tmp_path / "strict"
    folder.mkdir()
    host_key = paramiko.Ed25519Key.from_private_key_file(str(new_key(folder, "host")))
    with ssh_server(host_key, new_key(folder, "client").read_text()) as running:
        running.refuses = True
        yield running


def test_a_wrong_host_key_a_refused_login_and_a_refused_port_are_told_within_the_minute(
    server: SshServer, strict: SshServer, tmp_path: Path, environment: Environment
) -> None:
    other_key = new_key(tmp_path, "other").with_suffix(".pub").read_text().strip()
    machines = {
        "wrong-key": {**server.connection, "hostKey": other_key},
        "no-login": strict.connection,
        "refused-port": server.connection_to(closed_port()),
    }
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: reasons\nruntime: python\n")
    shutil.copy(PROGRAM, project / "__main__.py")
    variables = {"TEST_CHECKOUT": str(CHECKOUT), "TEST_MACHINES": json.dumps(machines)}

    def pulumi(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment.programs / "pulumi", *arguments],
            cwd=project,
            env=environment.variables() | variables,
            text=True,
            capture_output=True,
            timeout=150,
            check=False,
        )

    assert pulumi("stack", "init", STACK).returncode == 0
    done = pulumi("up", "--yes", "--skip-preview", "--continue-on-error")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    for name, reason in REASONS.items():
        assert re.search(rf"after 18 failed attempts: {reason}", said), f"{name}:\n{said}"
        took = re.search(rf"Command {name} creating \((\d+)s\) error: after", said)
        assert took, said
        assert 45 <= int(took[1]) <= 60, said
    assert server.logins == strict.logins == []
    assert "context deadline exceeded" not in said
