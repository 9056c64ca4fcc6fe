"""The Go program of the GPU Operator's stand-in: its own tests and vet. No root, no machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[2] / "sandbox/tools/kubernetes"


@pytest.mark.timeout(600)  # the first time, Go compiles what the tests import
@pytest.mark.parametrize("command", [("test", "./operator/gpu"), ("vet", "./operator/...")])
def test_the_go_tests_pass(command: tuple[str, str]) -> None:
    if shutil.which("go") is None:
        pytest.skip("Go is not on PATH")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOWORK": "off",
    }

    done = subprocess.run(["go", *command], cwd=MODULE, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
