"""The command stand-in logs in with all that a connection may have: keys, passwords, an agent."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_plugin import CommandPlugin, command_plugin, failing, wait_until
from ssh_server import SshServer, new_key

pytestmark = pytest.mark.engine


def without_key(server: SshServer) -> dict[str, object]:
    return {name: value for name, value in server.connection.items() if name != "privateKey"}


@pytest.mark.parametrize("asks", [False, True])
def test_a_password_is_told_at_once_or_when_asked(server: SshServer, plugin: CommandPlugin, asks: bool) -> None:
    server.password, server.asks = "right", asks
    connection = {**without_key(server), "dialErrorLimit": 0}
    assert plugin.create(connection={**connection, "password": "right"}, create="echo ran")["stdout"] == "ran"
    with failing() as words:
        plugin.create(connection={**connection, "password": "wrong"}, create="echo ran")
    method = "keyboard-interactive" if asks else "password"
    assert words[0].startswith("after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate, ")
    assert f"attempted methods [none {method}]" in words[0]


def test_a_protected_key_is_opened_with_its_password(server: SshServer, plugin: CommandPlugin, tmp_path: Path) -> None:
    key = tmp_path / "protected"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "opens", "-f", key], check=True)
    connection = {**server.connection, "privateKey": key.read_text()}
    opened = plugin.create(connection={**connection, "privateKeyPassword": "opens"}, create="echo ran")
    assert opened["stdout"] == "ran"
    with failing() as words:
        plugin.create(connection=connection, create="echo ran")
    assert words == ["ssh: this private key is passphrase protected"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The socket of an SSH agent that holds a key of its own."""
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(socket.exists, "the agent's socket")
            variables = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", new_key(tmp_path, "held")], env=variables, check=True)
            yield str(socket)
        finally:
            process.terminate()


def test_an_agent_of_the_connection_or_of_the_environment_logs_in(
    server: SshServer, plugin: CommandPlugin, agent: str
) -> None:
    connection = without_key(server)
    named = plugin.create(connection={**connection, "agentSocketPath": agent}, create="echo ran")
    assert named["stdout"] == "ran"
    with command_plugin(SSH_AUTH_SOCK=agent) as found:
        assert found.create(connection=connection, create="echo ran")["stdout"] == "ran"


def test_an_agent_that_cannot_be_reached_fails_at_once_though_there_is_a_key(server: SshServer) -> None:
    with command_plugin(SSH_AUTH_SOCK="/nowhere/agent") as plugin:
        with failing() as words:
            plugin.create(connection=server.connection, create="true")
        assert words == ["dial unix /nowhere/agent: connect: no such file or directory"]
    assert server.dials == []
