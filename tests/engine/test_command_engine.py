"""The real engine with the command stand-in: secrets that are not known yet, order of replacements, Ctrl-C."""

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_plugin import wait_until
from ssh_server import SshServer

from sandbox.engine.environment import STACK, Environment

pytestmark = pytest.mark.engine

PROGRAM = """
import json, os
import pulumi
from pulumi_command import remote

names = {"hostKey": "host_key", "privateKey": "private_key", "dialErrorLimit": "dial_error_limit",
         "perDialTimeout": "per_dial_timeout"}
connection = {names.get(key, key): value for key, value in json.loads(os.environ["TEST_CONNECTION"]).items()}

def command(name, opts=None, **inputs):
    return remote.Command(name, connection=remote.ConnectionArgs(**connection), opts=opts, **inputs)

"""
SAYS = """
done = command("say", create="echo hello | rev", triggers=[os.environ["TEST_TRIGGER"]],
               opts=pulumi.ResourceOptions(additional_secret_outputs=["stdout"]))
pulumi.export("said", done.stdout)
"""
REPLACED = """
trigger, log = os.environ["TEST_TRIGGER"], os.environ["TEST_LOG"]
command("log", create=f"echo create-{trigger} >> {log}", delete=f"echo delete-{trigger} >> {log}", triggers=[trigger],
        opts=pulumi.ResourceOptions(delete_before_replace=os.environ["TEST_DELETE_FIRST"] == "yes"))
"""
SECRET_UNKNOWN = """
unknown = pulumi.Output.secret(command("first", create="echo later").stdout)
place = os.environ["TEST_PLACE"]
if place == "triggers":
    command("second", create="true", triggers=["known", unknown])
elif place == "public triggers":
    command("second", create="true", triggers=["known", pulumi.Output.unsecret(unknown)])
elif place == "connection":
    connection["private_key"] = unknown
    command("second", create="true", triggers=["known"])
else:
    command("second", create="true", triggers=["known"], stdin=unknown)
"""


@dataclass(frozen=True)
class Project:
    """A Pulumi project of a test's own."""

    folder: Path
    environment: Environment
    server: SshServer

    def write(self, program: str) -> None:
        (self.folder / "Pulumi.yaml").write_text("name: commands\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM + program)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.environment.programs / "pulumi", *arguments],
            cwd=self.folder,
            env=self.environment.variables() | {"TEST_CONNECTION": json.dumps(self.server.connection)} | variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str, status: int = 0, **variables: str) -> str:
        """What the CLI said, on both streams."""
        with self.start(*arguments, **variables) as process:
            try:
                said = process.communicate(timeout=80)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert (process.returncode == 0) == (status == 0), said
        return said

    def state(self) -> list[str]:
        """The URNs of the stack's resources, those of operations under way too."""
        deployment = json.loads(self.run("stack", "export"))["deployment"]
        pending = [operation["resource"] for operation in deployment.get("pending_operations") or []]
        return [resource["urn"] for resource in [*deployment.get("resources", []), *pending]]


@pytest.fixture
def project(environment: Environment, tmp_path: Path, server: SshServer) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, environment, server)
    project.write("")
    project.run("stack", "init", STACK)
    yield project
    project.run("stack", "rm", "--yes", "--force")


def test_a_secret_unknown_among_the_triggers_fails_the_preview_with_the_engines_words(project: Project) -> None:
    project.write(SECRET_UNKNOWN)
    said = project.run("preview", status=1, TEST_PLACE="triggers")
    assert 'error: malformed RPC secret: missing value for "triggers"' in said


@pytest.mark.parametrize("place", ["public triggers", "stdin", "connection"])
def test_an_unknown_that_is_public_or_no_part_of_a_list_previews(project: Project, place: str) -> None:
    project.write(SECRET_UNKNOWN)
    said = project.run("preview", TEST_PLACE=place)
    assert "command:remote:Command second create" in said
    assert project.server.dials == []


def test_the_engine_shows_the_output_keeps_it_secret_and_runs_again_on_a_trigger(project: Project) -> None:
    project.write(SAYS)
    up = ("up", "--yes", "--skip-preview")
    shown = project.run(*up, TEST_TRIGGER="a")
    assert "command:remote:Command say creating (0s) olleh" in shown
    assert "said: [secret]" in shown
    exported = project.run("stack", "export")
    assert "olleh" not in exported
    assert "PRIVATE KEY" not in exported
    assert len(project.server.logins) == 1
    project.run(*up, "--expect-no-changes", TEST_TRIGGER="a")
    assert len(project.server.logins) == 1
    assert "replaced" in project.run(*up, TEST_TRIGGER="b")
    assert len(project.server.logins) == 2
    project.run("destroy", "--yes", "--skip-preview")
    assert len(project.server.dials) == 2


@pytest.mark.parametrize(
    ("first", "order"),
    [
        ("no", ["create-1", "create-2", "delete-1", "delete-2"]),
        ("yes", ["create-1", "delete-1", "create-2", "delete-2"]),
    ],
)
def test_a_changed_trigger_creates_anew_and_then_deletes_unless_told_the_other_way(
    project: Project, tmp_path: Path, first: str, order: list[str]
) -> None:
    project.write(REPLACED)
    log = tmp_path / "log"
    for trigger in ("1", "2"):
        variables = {"TEST_TRIGGER": trigger, "TEST_LOG": str(log), "TEST_DELETE_FIRST": first}
        project.run("up", "--yes", "--skip-preview", **variables)
    project.run("destroy", "--yes", "--skip-preview")
    assert log.read_text().split() == order


def test_ctrl_c_while_dialling_ends_at_once_and_leaves_no_command_in_the_state(project: Project) -> None:
    project.write(SAYS)
    project.server.resets = 1_000_000
    connection = json.dumps({**project.server.connection, "dialErrorLimit": -1})
    with project.start("up", "--yes", "--skip-preview", TEST_TRIGGER="a", TEST_CONNECTION=connection) as process:
        try:
            wait_until(lambda: len(project.server.dials) >= 3, "the third dial", 60)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=15)[0]
        except BaseException:
            process.kill()
            raise
    assert process.returncode != 0
    assert "Dial 3/inf failed: retrying" in said
    assert [urn for urn in project.state() if "command:remote:Command" in urn] == []
