"""The command stand-in has the habits of the real provider, over real SSH."""

import json
import subprocess
import time
from pathlib import Path

import paramiko
import pytest
from ssh_server import SshServer, new_key

from sandbox.engine.environment import STACK, Environment
from sandbox.providers.command import Command
from sandbox.providers.resource_provider import Failure, InvalidInput

TOKEN = "command:remote:Command"


class Screen:
    """Takes what would go to the engine's display, with the time it came."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float]] = []

    def status(self, _urn: str, line: str) -> None:
        self.lines.append((line, time.monotonic()))

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.lines]


@pytest.fixture
def screen() -> Screen:
    return Screen()


def run(screen: Screen, timeout: float = 20, **inputs: object) -> dict[str, object]:
    command = Command(screen)
    checked = command.check(TOKEN, "c", {}, dict(inputs), b"seed")
    return command.create(TOKEN, "urn", checked, timeout)[1]


def test_output_is_shown_while_the_command_runs_and_returned_without_its_last_line_feed(
    server: SshServer, screen: Screen
) -> None:
    state = run(screen, connection=server.connection, create="echo one; sleep 0.5; echo two", logging="stdout")
    assert state["stdout"] == "one\ntwo"
    assert screen.texts == ["one", "two"]
    assert screen.lines[1][1] - screen.lines[0][1] > 0.3
    assert server.logins[-1] == "azureuser"


def test_only_the_logged_stream_is_shown(server: SshServer, screen: Screen) -> None:
    state = run(screen, connection=server.connection, create="echo out; echo err >&2", logging="stderr")
    assert (state["stdout"], state["stderr"]) == ("out", "err")
    assert screen.texts == ["err"]


def test_stdin_reaches_the_command_whole(server: SshServer, screen: Screen) -> None:
    text = "secret line\n" * 50_000
    state = run(screen, connection=server.connection, create="wc -c", stdin=text, logging="none")
    assert state["stdout"] == "600000"


def test_a_failing_command_gives_its_status_the_command_and_all_its_output(server: SshServer, screen: Screen) -> None:
    with pytest.raises(Failure) as failure:
        run(screen, connection=server.connection, create="echo seen; echo why >&2; exit 7", logging="none")
    assert str(failure.value) == (
        'Process exited with status 7: running "echo seen; echo why >&2; exit 7":\nseen\nwhy\n'
    )


def test_a_connection_that_ends_without_a_status_fails(server: SshServer, screen: Screen) -> None:
    with pytest.raises(Failure, match=r"wait: remote command exited without exit status or exit signal"):
        run(screen, connection=server.connection, create="kill -9 $$", logging="none")


def test_a_wrong_host_key_is_never_accepted(server: SshServer, screen: Screen, tmp_path: Path) -> None:
    other = new_key(tmp_path, "other").with_suffix(".pub").read_text()
    with pytest.raises(Failure, match=r"after 3 failed attempts: .*ssh: host key mismatch"):
        run(screen, connection={**server.connection, "hostKey": other}, create="true")
    assert server.logins == []


def test_a_pin_of_another_key_type_finds_no_common_algorithm(server: SshServer, screen: Screen) -> None:
    pin = f"ssh-rsa {paramiko.RSAKey.generate(2048).get_base64()}"
    with pytest.raises(Failure, match=r"after 3 failed attempts"):
        run(screen, connection={**server.connection, "hostKey": pin}, create="true")
    assert server.logins == []


def test_a_refused_connection_is_dialled_as_often_as_allowed(server: SshServer, screen: Screen) -> None:
    refused = {**server.connection_to(1), "dialErrorLimit": 4}
    with pytest.raises(Failure, match=r"after 4 failed attempts: dial tcp 127\.0\.0\.1:1: connect: connection refused"):
        run(screen, connection=refused, create="true")


def test_without_a_limit_the_commands_own_timeout_ends_the_dialling(server: SshServer, screen: Screen) -> None:
    started = time.monotonic()
    with pytest.raises(Failure, match=r"context deadline exceeded"):
        run(screen, timeout=1, connection={**server.connection_to(1), "dialErrorLimit": -1}, create="true")
    assert time.monotonic() - started < 2


def test_a_line_of_64_kib_on_a_logged_stream_is_refused_where_the_real_provider_hangs(
    server: SshServer, screen: Screen
) -> None:
    def long_line(length: int) -> str:
        return f"head -c {length} /dev/zero | tr '\\0' x"

    with pytest.raises(Failure, match=r"64 KiB or more on stdout"):
        run(screen, connection=server.connection, create=long_line(65536), logging="stdout")
    state = run(screen, connection=server.connection, create=long_line(65535), logging="stdout")
    assert len(str(state["stdout"])) == 65535
    state = run(screen, connection=server.connection, create=long_line(70000), logging="stderr")
    assert len(str(state["stdout"])) == 70000


def test_an_environment_is_refused_as_sshd_refuses_it(server: SshServer, screen: Screen) -> None:
    with pytest.raises(Failure, match=r'could not set environment variable "FOO": ssh: setenv failed'):
        run(screen, connection=server.connection, create="true", environment={"FOO": "1"})


def test_a_connection_without_a_host_is_an_invalid_input(screen: Screen) -> None:
    with pytest.raises(InvalidInput, match=r"missing required field 'host'"):
        run(screen, connection={"user": "azureuser"}, create="true")


@pytest.mark.parametrize(("path", "replaced"), [("triggers[0]", True), ("stdin", False), ("connection.host", False)])
def test_only_triggers_replace(screen: Screen, path: str, replaced: bool) -> None:
    assert Command(screen).replaces(TOKEN, path) is replaced


PROGRAM = """
import json, os
import pulumi
from pulumi_command import remote
connection = json.loads(os.environ["TEST_CONNECTION"])
names = {"hostKey": "host_key", "privateKey": "private_key", "dialErrorLimit": "dial_error_limit",
         "perDialTimeout": "per_dial_timeout"}
done = remote.Command("say", connection=remote.ConnectionArgs(**{names.get(k, k): v for k, v in connection.items()}),
                      create="echo hello | rev", triggers=[os.environ["TEST_TRIGGER"]],
                      opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
pulumi.export("said", done.stdout)
"""


@pytest.mark.engine
def test_the_engine_shows_the_output_keeps_it_secret_and_runs_again_on_a_trigger(
    server: SshServer, tmp_path: Path, environment: Environment
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: one-command\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)

    def pulumi(*arguments: str, trigger: str = "a") -> str:
        variables = environment.variables() | {
            "TEST_CONNECTION": json.dumps(server.connection),
            "TEST_TRIGGER": trigger,
        }
        done = subprocess.run(
            [environment.programs / "pulumi", *arguments],
            cwd=tmp_path,
            env=variables,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pulumi("stack", "init", STACK)
    shown = pulumi("up", "--yes", "--skip-preview")
    assert "command:remote:Command say creating (0s) olleh" in shown
    assert "said: [secret]" in shown
    assert "olleh" not in pulumi("stack", "export")
    assert len(server.logins) == 1
    pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert len(server.logins) == 1
    assert "replaced" in pulumi("up", "--yes", "--skip-preview", trigger="b")
    assert len(server.logins) == 2
    pulumi("destroy", "--yes", "--skip-preview")
    pulumi("stack", "rm", "--yes")
