"""The Go program of the GPU Operator's stand-in: its own tests and vet. No root, no machine."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox.tools import go_toolchain
from sandbox.tools.go import FLAGS

MODULE = Path(__file__).parents[2] / "sandbox/tools/kubernetes"


@pytest.mark.timeout(600)  # the first time, Go compiles what it has not kept, and looks through all that is imported
@pytest.mark.parametrize("command", [("test", "./operator/gpu"), ("vet", "./operator/...")])
def test_the_go_tests_pass(command: tuple[str, str]) -> None:
    go = go_toolchain.go()
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": " ".join(FLAGS), "GOWORK": "off", **go.environment}

    done = subprocess.run(
        [go.program, *command], cwd=MODULE, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
