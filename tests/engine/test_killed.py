"""A CLI that is killed with -9 in the middle of an `up`: what lives on, what the next commands say, and the way out.

The words are those that the real CLI, language host and command provider were seen to use.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from ssh_server import SshServer

from sandbox import private_file, recovery
from sandbox.engine.environment import STACK, Environment
from sandbox.instance import Sandbox
from sandbox.process import ProcessId, detach, started_with
from sandbox.providers import interpreter
from scripts.engine import Engine
from scripts.recover import recover

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, os
from pulumi_command import remote
connection = json.loads(os.environ["TEST_CONNECTION"])
names = {"hostKey": "host_key", "privateKey": "private_key", "dialErrorLimit": "dial_error_limit",
         "perDialTimeout": "per_dial_timeout"}
remote.Command("slow", connection=remote.ConnectionArgs(**{names.get(k, k): v for k, v in connection.items()}),
               create=os.environ["TEST_SCRIPT"], logging="none")
"""


def eventually(what: str, seen: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def started(root: Path) -> list[str]:
    """Command lines of what was started with the PULUMI_HOME of the sandbox in `root`."""
    return [process.command for process, home in started_with("PULUMI_HOME") if Path(home).is_relative_to(root)]


@dataclass(frozen=True)
class Killed:
    """A sandbox whose CLI was killed while its only command ran."""

    environment: Environment
    project: Path
    variables: Mapping[str, str]

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.environment.programs / "pulumi"), *arguments]
        return subprocess.run(
            command,
            cwd=self.project,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def killed(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killed]:
    monkeypatch.delenv(interpreter.WARM)  # processes as a person has them
    root = tmp_path / "state" / "mig-k8s" / "default"
    environment = Environment(root, machines=False)
    environment.prepare(CHECKOUT / "Pulumi.dev.yaml", None)
    project, hold, begun = tmp_path / "project", tmp_path / "hold", tmp_path / "begun"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: mig-k8s\nruntime: python\n")
    (project / "__main__.py").write_text(PROGRAM)
    hold.touch()
    script = f"touch {begun}; for i in $(seq 600); do [ -e {hold} ] || exit 0; sleep 0.1; done; exit 1"
    variables = environment.variables() | {"TEST_CONNECTION": json.dumps(server.connection), "TEST_SCRIPT": script}
    cli = [str(environment.programs / "pulumi"), "up", "--yes", "--skip-preview", "--stack", STACK]
    try:
        with subprocess.Popen(cli, cwd=project, env=variables, stdout=subprocess.PIPE, text=True) as process:
            eventually("the command runs", lambda: begun.exists() or process.poll() is not None)
            assert process.poll() is None, process.stdout and process.stdout.read()
            process.kill()
        hold.unlink()
        yield Killed(environment, project, variables)
    finally:
        recovery.end_plugins(root)


@pytest.mark.engine
def test_what_a_killed_cli_started_lives_on_until_down_ends_it(
    killed: Killed, tmp_path: Path, environment: Environment
) -> None:
    root = killed.environment.root
    other = {**os.environ, "PULUMI_HOME": environment.variables()["PULUMI_HOME"]}
    with subprocess.Popen(["sleep", "600"], env=other) as foreign:
        try:
            time.sleep(2)  # longer than the second after which a stand-in once noticed that its parent was gone
            alive = " ".join(started(root))
            assert "sandbox.providers.language_host" in alive
            assert any("command" in each for each in started(root)), alive

            down = subprocess.run(
                [sys.executable, "-m", "sandbox", "down"],
                cwd=CHECKOUT,
                env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
                text=True,
                capture_output=True,
                timeout=120,
                check=False,
            )
            assert down.returncode == 0, down.stderr
            assert started(root) == []
            assert not root.exists()
            assert "· of a killed command there still ran, and was ended: " in down.stderr
            assert "sandbox.providers.language_host (" in down.stderr
            assert foreign.poll() is None, "a process of another sandbox was ended"
        finally:
            foreign.kill()


@pytest.mark.engine
def test_the_lock_of_a_killed_cli_and_its_pending_create_go_with_one_command(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (CHECKOUT / "docs/troubleshooting.md").read_text()
    up = ("up", "--yes", "--skip-preview")
    refused = killed.pulumi(*up)
    assert refused.returncode != 0
    assert "the stack is currently locked by 1 lock(s)" in refused.stderr
    assert "| `the stack is currently locked by 1 lock(s)` |" in rows
    assert "pending operations from previous deployment … interrupted while creating` |" in rows

    recover(Engine(stack=STACK, folder=killed.project, variables=killed.variables), [])
    lock, command, end = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"lock: that of \S+@{re.escape(socket.gethostname())}, process \d+, .* is cancelled", lock)
    assert command == "command:remote:Command slow was being made: the next `pulumi up` makes it"
    assert end == "the next `pulumi up` goes on from here"
    for more in ((), ("--expect-no-changes",)):
        done = killed.pulumi(*up, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "pending operations" not in done.stdout + done.stderr


def test_every_process_of_a_sandbox_is_ended_whatever_program_it_is_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A helm, a kubectl, a program of the language host, or a real plugin: all have the environment in common."""
    ours, others = {"PULUMI_HOME": f"{tmp_path}/a/pulumi/home"}, {"PULUMI_HOME": f"{tmp_path}/ab/pulumi/home"}
    shell = ["sh", "-c", "trap '' TERM INT; sleep 600 & wait"]
    processes = [subprocess.Popen(shell, env={**os.environ, **variables}) for variables in (ours, others)]
    try:
        eventually("the shells have started their sleeps", lambda: len(started(tmp_path)) == 4)
        recovery.end_plugins(tmp_path / "a")
        assert [process.poll() for process in processes] == [-9, None]
        assert [command.split()[0] for command in sorted(started(tmp_path))] == ["sh", "sleep"]
        assert f"sh -c trap '' TERM INT; sleep 600 & wait ({processes[0].pid})" in capsys.readouterr().err
    finally:
        recovery.end_plugins(tmp_path)
        for process in processes:
            process.wait(20)


@pytest.mark.parametrize("below", ["mig-k8s/default", "mig-k8s"], ids=["this sandbox", "all sandboxes"])
@pytest.mark.parametrize("file", ["machines/one/supervisor.pid", "mirror/pid"])
def test_a_machine_of_an_older_checkout_is_not_taken_for_its_engine(tmp_path: Path, file: str, below: str) -> None:
    """It has the engine's environment. Taken for the engine, the next command would cut it off from power."""
    root = tmp_path / "mig-k8s/default"
    variables = {**os.environ, "PULUMI_HOME": f"{root}/pulumi/home"}
    machine, plugin = (subprocess.Popen(["sleep", "600"], env=variables) for _ in range(2))
    try:
        (root / file).parent.mkdir(parents=True)
        known = ProcessId.of(machine.pid)
        assert known is not None
        known.write(root / file)
        recovery.end_plugins(tmp_path / below)
        assert (machine.poll(), plugin.poll()) == (None, -9)
        (root / file).unlink()  # no longer a machine of the sandbox
        recovery.end_plugins(tmp_path / below)
        assert machine.wait(20) == -9
    finally:
        for process in (machine, plugin):
            process.kill()
            process.wait(20)


def test_a_shell_that_has_the_sandboxs_environment_can_end_the_sandbox(tmp_path: Path) -> None:
    """Whoever works in such a shell is not killed by his own command."""
    code = f"from pathlib import Path; from sandbox import recovery; recovery.end_plugins(Path({str(tmp_path)!r}))"
    done = subprocess.run(
        ["sh", "-c", f'"$PYTHON" -c "{code}" && echo still here'],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHON": sys.executable, "PULUMI_HOME": f"{tmp_path}/home"},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "still here\n", done.stderr


def test_a_machine_and_a_mirror_do_not_have_the_engines_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider starts machines: ended with what a killed command left, they would be cut off from power."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    detached = tmp_path / "detached.py"
    detached.write_text(
        "import os, sys\nfrom sandbox.process import announce\n"
        "open(sys.argv[2], 'w').write(chr(10).join(os.environ))\nannounce(int(sys.argv[1]))\n"
    )
    monkeypatch.setattr("sandbox.process._REPOSITORY", f"{CHECKOUT}:{tmp_path}")
    detach("detached", [str(tmp_path / "variables")], log=tmp_path / "log")
    variables = (tmp_path / "variables").read_text().split("\n")
    assert "PYTHONPATH" in variables
    assert [name for name in variables if name.startswith("PULUMI_")] == []


def test_what_people_look_with_is_not_the_engines_and_is_not_ended(tmp_path: Path) -> None:
    """A `kubectl logs -f` goes on while the next `make sandbox` takes away what a killed one left."""
    root = tmp_path / "mig-k8s" / "default"
    Sandbox(name="default", root=root, network="10.99.255").save()
    (root / "bin").mkdir()
    for program in ("kubectl", "pulumi"):
        private_file.write(root / "bin" / program, "#!/bin/sh\nenv\n", mode=0o700)

    def seen(program: str) -> str:
        command = [sys.executable, "-m", "sandbox", program, "version"]
        variables = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
        return subprocess.check_output(command, cwd=CHECKOUT, env=variables, text=True, timeout=60)

    assert "PULUMI_HOME" not in seen("kubectl")
    assert f"PULUMI_HOME={root}/pulumi/home\n" in seen("pulumi")
