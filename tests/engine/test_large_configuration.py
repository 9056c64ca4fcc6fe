"""A configuration beyond what one variable of the environment holds never reaches the program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sandbox.engine.environment import STACK, Environment

pytestmark = pytest.mark.engine
CHECKOUT = Path(__file__).resolve().parents[2]
TOO_LONG = "argument list too long"
PROGRAM = """
import pulumi
pulumi.export("length", len(pulumi.Config("padding").require("text")))
"""


def previewed(environment: Environment, project: Path, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment.programs / "pulumi", "preview", "--config-file", str(file)],
        cwd=project,
        env=environment.variables(),
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )


def test_131072_bytes_reach_the_program_and_one_more_is_refused_by_the_host(
    tmp_path: Path, environment: Environment
) -> None:
    """`PULUMI_CONFIG={"padding:text":"…"}` and the zero byte: 34 bytes besides the text."""
    (tmp_path / "Pulumi.yaml").write_text("name: large\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    file = tmp_path / "Pulumi.large.yaml"

    def preview(size: int) -> subprocess.CompletedProcess[str]:
        file.write_text(yaml.safe_dump({"config": {"padding:text": "x" * (size - 34)}}))
        return previewed(environment, tmp_path, file)

    subprocess.run(
        [environment.programs / "pulumi", "stack", "init", STACK],
        cwd=tmp_path,
        env=environment.variables(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    passed, refused = preview(131072), preview(131073)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "131038" in passed.stdout
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "(could not run language executor): fork/exec" in said
    assert TOO_LONG in said


def test_what_check_refuses_for_its_size_could_not_have_been_previewed(
    tmp_path: Path, environment: Environment
) -> None:
    stack = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    stack["config"]["mig-k8s:gpuOperator"] = {"values": {"operator": {"note": "x" * 131072}}}
    file = tmp_path / "large.yaml"
    file.write_text(yaml.safe_dump(stack))
    checked = subprocess.run(
        [sys.executable, "-m", "plan", "check", str(file)],
        cwd=CHECKOUT,
        env=os.environ,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 1
    assert "at most 131072 bytes" in checked.stderr
    environment.prepare(file, None)
    refused = previewed(environment, environment.project(), environment.stack_file)
    assert refused.returncode != 0
    assert TOO_LONG in refused.stdout + refused.stderr
