"""The command stand-in dials as the real provider was seen to (facts: real-providers.md)."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from command_plugin import CommandPlugin, failing
from ssh_server import SshServer, new_key, ssh_server

pytestmark = pytest.mark.engine


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody listens on, kept from others."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def test_a_refused_port_is_dialled_once_more_than_the_limit_says(
    server: SshServer, plugin: CommandPlugin, refused_port: int
) -> None:
    with failing() as words:
        plugin.create(connection=server.connection_to(refused_port), create="true")
    assert words == [f"after 3 failed attempts: dial tcp 127.0.0.1:{refused_port}: connect: connection refused"]
    assert plugin.display.texts == [f"Dial {dial}/3 failed: retrying" for dial in (1, 2, 3)]


def test_dials_come_a_tenth_of_a_second_apart_and_then_half_as_far_again(
    server: SshServer, plugin: CommandPlugin
) -> None:
    server.resets = 6
    plugin.create(connection={**server.connection, "dialErrorLimit": 10}, create="true")
    gaps = [after - before for before, after in zip(server.dials, server.dials[1:], strict=False)]
    waits = [0.1, 0.15, 0.225, 0.3375, 0.50625, 0.759375]
    assert [gap >= wait for gap, wait in zip(gaps, waits, strict=True)] == [True] * 6
    assert sum(gaps) < 2 * sum(waits)


def test_a_connection_that_a_half_broken_sshd_resets_is_dialled_again(server: SshServer, plugin: CommandPlugin) -> None:
    server.resets = 2
    assert plugin.create(connection=server.connection, create="echo ran")["stdout"] == "ran"
    assert plugin.display.texts == ["Dial 1/3 failed: retrying", "Dial 2/3 failed: retrying", "ran"]


def test_an_sshd_that_comes_late_is_waited_for_and_then_used(server: SshServer, plugin: CommandPlugin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connection = {**server.connection_to(port), "dialErrorLimit": -1}
    states = []
    creation = threading.Thread(target=lambda: states.append(plugin.create(connection=connection, create="echo ran")))
    creation.start()
    plugin.display.wait_for("Dial 3/inf failed: retrying")
    with ssh_server(server.host_key, server.client_key, port):
        creation.join(15)
        assert [state["stdout"] for state in states] == ["ran"]


def test_a_wrong_host_key_is_never_accepted(server: SshServer, plugin: CommandPlugin, tmp_path: Path) -> None:
    other = new_key(tmp_path, "other").with_suffix(".pub").read_text()
    with failing() as words:
        plugin.create(connection={**server.connection, "hostKey": other}, create="true")
    assert words == ["after 3 failed attempts: ssh: handshake failed: ssh: host key mismatch"]
    assert (len(server.dials), server.logins) == (4, [])


def test_a_pinned_key_of_another_type_finds_no_common_algorithm(server: SshServer, plugin: CommandPlugin) -> None:
    pin = f"ssh-rsa {paramiko.RSAKey.generate(2048).get_base64()}"
    with failing() as words:
        plugin.create(connection={**server.connection, "hostKey": pin}, create="true")
    assert re.fullmatch(
        r"after 3 failed attempts: ssh: handshake failed: "
        r"ssh: no common algorithm for host key; we offered: \[ssh-rsa\], peer offered: \[ssh-ed25519\]",
        words[0],
    )
    assert server.logins == []


def test_without_a_host_key_any_is_accepted(server: SshServer, plugin: CommandPlugin) -> None:
    connection = {name: value for name, value in server.connection.items() if name != "hostKey"}
    assert plugin.create(connection=connection, create="echo ran")["stdout"] == "ran"


def test_a_refused_login_is_tried_again(server: SshServer, plugin: CommandPlugin) -> None:
    server.refuses = True
    with failing() as words:
        plugin.create(connection=server.connection, create="true")
    assert words[0] == (
        "after 3 failed attempts: ssh: handshake failed: ssh: unable to authenticate, "
        "attempted methods [none publickey], no supported methods remain"
    )
    assert len(server.dials) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hostKey": "garbage"}, "failed to parse host key: ssh: no key found"),
        ({"privateKey": "garbage"}, "ssh: no key found"),
        ({"agentSocketPath": "/nowhere/agent"}, "dial unix /nowhere/agent: connect: no such file or directory"),
        ({"proxy": {"host": "10.0.0.5"}}, "the sandbox does not stand in for a connection with a proxy"),
    ],
)
def test_an_error_that_no_dial_would_end_fails_at_once(
    server: SshServer, plugin: CommandPlugin, change: dict[str, object], said: str
) -> None:
    with failing() as words:
        plugin.create(connection={**server.connection, **change}, create="true")
    assert words == [said]
    assert server.dials == []
    assert plugin.display.texts == []


def test_unlimited_dialling_is_counted_and_ends_with_the_custom_timeout_and_without_a_reason(
    server: SshServer, plugin: CommandPlugin, refused_port: int
) -> None:
    started = time.monotonic()
    with failing() as words:
        plugin.create(timeout=1, connection={**server.connection_to(refused_port), "dialErrorLimit": -1}, create="true")
    assert words == ["context deadline exceeded"]
    assert 0.9 < time.monotonic() - started < 3
    assert plugin.display.texts[:3] == [f"Dial {dial}/inf failed: retrying" for dial in (1, 2, 3)]


def test_a_cancellation_ends_the_dialling_at_once(server: SshServer, plugin: CommandPlugin, refused_port: int) -> None:
    cancelled: list[float] = []

    def cancel() -> None:
        plugin.display.wait_for("Dial 8/inf failed: retrying")
        cancelled.append(time.monotonic())
        plugin.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    with failing() as words:
        plugin.create(connection={**server.connection_to(refused_port), "dialErrorLimit": -1}, create="true")
    assert words == ["context canceled"]
    assert time.monotonic() - cancelled[0] < 1.2  # the ninth dial would come after 1.7 s


def test_per_dial_timeout_bounds_the_tcp_connection(server: SshServer, plugin: CommandPlugin) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        connection = {**server.connection_to(port), "perDialTimeout": 1, "dialErrorLimit": 0}
        with socket.create_connection(("127.0.0.1", port)), failing() as words:  # its queue is full: others wait
            plugin.create(connection=connection, create="true")
    assert words == [f"after 0 failed attempts: dial tcp 127.0.0.1:{port}: i/o timeout"]


def test_a_peer_that_never_sends_a_banner_holds_the_first_dial_whatever_its_limits_are(
    server: SshServer, plugin: CommandPlugin
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = {**server.connection_to(silent.getsockname()[1]), "perDialTimeout": 1, "dialErrorLimit": 1}
        with failing() as words:
            plugin.create(timeout=1, seconds=4, connection=connection, create="true")
        # The test's own bound, as the client or the server's end of the stream says it first.
        assert words[0] in ("Deadline Exceeded", "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))")
        assert plugin.display.texts == []
        silent.settimeout(0.2)
        with silent.accept()[0], pytest.raises(TimeoutError):
            silent.accept()
