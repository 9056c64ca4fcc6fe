"""`pulumi new` with this repository as the template: the real CLI copies, asks and writes."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sandbox.engine.environment import Environment

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
SECRETS = {"rke2Token": "r" * 32, "sshHostSecret": f"a:{'h' * 32}"}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The repository's files as they are here, without what git does not know."""
    copy = tmp_path / "template"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if name and (CHECKOUT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, copy / name)
    return copy


def answered(command: list[str], answers: dict[str, str], folder: Path, variables: dict[str, str]) -> str:
    """What a command says at a terminal, where each question that has one of these words gets its answer."""
    person, terminal = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    said = ""
    with contextlib.suppress(OSError):  # the terminal is gone when the command has ended
        while shown := os.read(person, 4096):
            said += shown.decode(errors="replace")
            for words, answer in list(answers.items()):
                if words in said:
                    os.write(person, f"{answer}\r".encode())
                    del answers[words]
    os.close(person)
    assert process.wait(30) == 0, said
    assert answers == {}, said
    return said.replace("\r\n", "\n")


def test_a_project_from_the_template_is_right_after_what_its_quickstart_says(
    template: Path, tmp_path: Path, environment: Environment
) -> None:
    project, state = tmp_path / "project", tmp_path / "state"
    for folder in (project, state):
        folder.mkdir()
    variables = {name: value for name, value in environment.variables().items() if name != "PULUMI_STACK"}
    variables |= {"PULUMI_BACKEND_URL": f"file://{state}", "HOME": str(tmp_path)}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=project, env=variables, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = answered(
        ["pulumi", "new", str(template), "--name", "mig-k8s", "--description", "of a test", "--stack", "prod"],
        {"(azure-native:location)": "", **{f"({name})": value for name, value in SECRETS.items()}},
        project,
        variables,
    )
    assert (project / "components/machine.py").exists()
    config = yaml.safe_load((project / "Pulumi.prod.yaml").read_text())["config"]
    assert config["azure-native:location"] == "westeurope"
    assert [set(config[f"mig-k8s:{name}"]) for name in SECRETS] == [{"secure"}, {"secure"}]

    key = tmp_path / "KEY"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    commands = re.findall(r"^  (pulumi config .*)$", said, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        run("bash", "-c", command.replace("KEY", str(key)).replace("ADDRESS", "203.0.113.7"))
    variables["PYTHONPATH"] = str(project)
    checked = run(sys.executable, "-m", "plan", "check", "Pulumi.prod.yaml")
    assert checked.startswith("Pulumi.prod.yaml: all well; machines: 1, MIG devices: 7\n"), checked
    assert "secrets are to be set" not in checked
