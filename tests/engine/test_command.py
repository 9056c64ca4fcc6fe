"""The command stand-in runs commands as the real provider was seen to (facts: real-providers.md), over real SSH."""

import signal
import subprocess
import threading
from pathlib import Path

import pytest
from command_plugin import ERROR, UNKNOWN, WARNING, CommandPlugin, failing, secret
from ssh_server import SshServer

pytestmark = pytest.mark.engine


def long_line(length: int) -> str:
    return f"head -c {length} /dev/zero | tr '\\0' x"


def test_output_is_shown_while_the_command_runs_and_returned_without_its_last_line_feed(
    server: SshServer, plugin: CommandPlugin
) -> None:
    state = plugin.create(connection=server.connection, create="echo one; sleep 0.5; echo two; echo")
    assert state["stdout"] == "one\ntwo\n"
    assert plugin.display.texts == ["one", "two", ""]
    assert plugin.display.lines[1][1] - plugin.display.lines[0][1] > 0.3
    assert server.logins == ["azureuser"]


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        ({}, ["out", "err"]),
        ({"logging": "stdoutAndStderr"}, ["out", "err"]),
        ({"logging": "stdout"}, ["out"]),
        ({"logging": "stderr"}, ["err"]),
        ({"logging": "none"}, []),
        ({"logging": "a word of none of these"}, []),  # the library takes any
    ],
)
def test_only_the_logged_streams_are_shown_and_both_are_returned(
    server: SshServer, plugin: CommandPlugin, logging: dict[str, str], shown: list[str]
) -> None:
    state = plugin.create(connection=server.connection, create="echo out; sleep 0.2; echo err >&2", **logging)
    assert (state["stdout"], state["stderr"]) == ("out", "err")
    assert plugin.display.texts == shown


def test_stdin_reaches_the_command_whole(server: SshServer, plugin: CommandPlugin) -> None:
    state = plugin.create(connection=server.connection, create="wc -c", stdin="secret line\n" * 50_000)
    assert state["stdout"] == "600000"


def test_megabytes_of_stdin_that_a_command_leaves_unread_fail_it_though_it_exits_0(
    server: SshServer, plugin: CommandPlugin
) -> None:
    with failing() as words:
        plugin.create(connection=server.connection, create="sleep 0.5", stdin="x" * 3_000_000)
    assert words == ['EOF: running "sleep 0.5":\n']
    plugin.create(connection=server.connection, create="sleep 0.5", stdin="a line that nobody reads\n")


@pytest.mark.parametrize("logging", ["stdoutAndStderr", "none"])
def test_a_failing_command_gives_its_status_the_command_and_both_streams_in_the_order_they_were_written(
    server: SshServer, plugin: CommandPlugin, logging: str
) -> None:
    script = "echo 1; sleep 0.2; echo 2 >&2; sleep 0.2; echo 3; exit 7"
    with failing() as words:
        plugin.create(connection=server.connection, create=secret(script), logging=logging)
    assert words == [f'Process exited with status 7: running "{script}":\n1\n2\n3\n']


def test_a_killed_command_names_the_signal(server: SshServer, plugin: CommandPlugin) -> None:
    with failing() as words:
        plugin.create(connection=server.connection, create="kill -9 $$")
    assert words == ['Process exited with status 137 from signal KILL: running "kill -9 $$":\n']


def test_a_connection_that_ends_without_a_status_fails_with_the_output_so_far(
    server: SshServer, plugin: CommandPlugin
) -> None:
    def cut() -> None:
        plugin.display.wait_for("seen")
        server.drop()

    threading.Thread(target=cut, daemon=True).start()
    with failing() as words:
        plugin.create(connection=server.connection, create="echo seen; sleep 60")
    expected = 'wait: remote command exited without exit status or exit signal: running "echo seen; sleep 60":\nseen\n'
    assert words == [expected]


def test_output_that_is_not_utf_8_fails_a_command_that_succeeded(server: SshServer, plugin: CommandPlugin) -> None:
    with failing() as words:
        plugin.create(connection=server.connection, create="printf '\\377'", logging="none")
    assert "invalid UTF-8" in words[0]


def test_a_logged_line_of_64_kib_fails_where_the_real_provider_hangs(server: SshServer, plugin: CommandPlugin) -> None:
    with failing() as words:
        plugin.create(connection=server.connection, create=long_line(65_536), logging="stdout")
    assert words[0] == (
        "a line of 65536 bytes or more on a stream that is logged, where the real provider hangs for ever: "
        "log the other stream or none (logging)"
    )
    state = plugin.create(connection=server.connection, create=long_line(65_535), logging="stdout")
    assert len(str(state["stdout"])) == 65_535
    for logging in ("stderr", "none"):
        state = plugin.create(connection=server.connection, create=long_line(70_000), logging=logging)
        assert len(str(state["stdout"])) == 70_000


def test_a_variable_that_sshd_does_not_take_fails_the_command(server: SshServer, plugin: CommandPlugin) -> None:
    with failing() as words:
        plugin.create(connection=server.connection, create="echo $FOO", environment={"FOO": "1"})
    assert words == ['could not set environment variable "FOO": ssh: setenv failed']
    assert [severity for severity, text in plugin.display.messages if "Unable to set 'FOO'" in text] == [ERROR]
    server.accept_env = {"FOO"}
    assert plugin.create(connection=server.connection, create="echo $FOO", environment={"FOO": "1"})["stdout"] == "1"


def test_the_previous_output_is_sent_where_sshd_takes_it_and_warned_of_where_not(
    server: SshServer, plugin: CommandPlugin
) -> None:
    script = "echo before=$PULUMI_COMMAND_STDOUT"
    first = plugin.create(connection=server.connection, create=script)
    assert plugin.display.messages == []
    second = plugin.update(first, connection=server.connection, create=f"{script}.")
    assert second["stdout"] == "before=."
    assert [severity for severity, text in plugin.display.messages if "PULUMI_COMMAND_STDOUT" in text] == [WARNING]
    plugin.display.messages.clear()
    plugin.update(second, connection=server.connection, create=script, addPreviousOutputInEnv=False)
    assert plugin.display.messages == []
    server.accept_env = {"PULUMI_COMMAND_STDOUT"}
    assert plugin.update(second, connection=server.connection, create=script)["stdout"] == "before=before=."
    assert plugin.display.messages == []


def test_an_update_runs_update_or_else_create_or_else_nothing(server: SshServer, plugin: CommandPlugin) -> None:
    state = plugin.create(connection=server.connection, create="echo made")
    assert plugin.update(state, connection=server.connection, create="echo made", update="echo new")["stdout"] == "new"
    again = plugin.update(state, connection={**server.connection, "dialErrorLimit": 4}, create="echo again")
    assert again["stdout"] == "again"
    dials = len(server.dials)
    kept = plugin.update(again, connection=server.connection)
    assert kept["stdout"] == "again"
    assert len(server.dials) == dials


def test_a_delete_runs_the_delete_of_the_state_and_without_one_dials_nobody(
    server: SshServer, plugin: CommandPlugin, tmp_path: Path
) -> None:
    state = plugin.create(connection=server.connection, create="true", delete=f"echo gone > {tmp_path}/deleted; exit 3")
    with failing() as words:
        plugin.delete(state)
    assert words[0].startswith("Process exited with status 3: running ")
    assert (tmp_path / "deleted").read_text() == "gone\n"
    dials = len(server.dials)
    plugin.delete(plugin.update(state, connection=server.connection))
    assert len(server.dials) == dials


def test_without_a_create_nobody_is_dialled(server: SshServer, plugin: CommandPlugin) -> None:
    state = plugin.create(connection=server.connection, update="true", delete="true")
    assert (state["stdout"], state["stderr"]) == ("", "")
    assert server.dials == []


def test_a_preview_dials_nobody_and_leaves_the_output_unknown(server: SshServer, plugin: CommandPlugin) -> None:
    planned = plugin.create(preview=True, connection=server.connection, create="echo made")
    assert (planned["stdout"], planned["stderr"]) == (UNKNOWN, UNKNOWN)
    assert server.dials == []
    state = plugin.create(connection=server.connection, create="echo made")
    assert plugin.update(state, preview=True, connection=server.connection, create="echo new")["stdout"] == UNKNOWN
    assert len(server.dials) == 1


def test_neither_a_custom_timeout_nor_a_cancellation_ends_a_running_command(
    server: SshServer, plugin: CommandPlugin
) -> None:
    def cancel() -> None:
        plugin.display.wait_for("begun")
        plugin.cancel()

    threading.Thread(target=cancel, daemon=True).start()
    state = plugin.create(timeout=1, connection=server.connection, create="echo begun; sleep 2; echo ended")
    assert state["stdout"] == "begun\nended"


def test_the_connection_lasts_until_the_plugin_ends(server: SshServer, plugin: CommandPlugin) -> None:
    plugin.create(connection=server.connection, create="true")
    assert [transport.is_active() for transport in server.transports] == [True]


def test_the_plugin_outlives_a_killed_engine_and_ends_when_it_is_interrupted(plugin: CommandPlugin) -> None:
    plugin.engine.stop(None).wait(5)
    with pytest.raises(subprocess.TimeoutExpired):
        plugin.process.wait(2)
    plugin.process.send_signal(signal.SIGINT)
    plugin.process.wait(5)
