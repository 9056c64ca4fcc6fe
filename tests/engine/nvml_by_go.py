"""What NVIDIA's own Go code says, by the program in nvml_in_go/."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fake_gpu import FakeGpu

from sandbox.tools import toolchain

_PROGRAM = Path(__file__).with_name("nvml_in_go")


def devices(gpu: FakeGpu) -> list[dict[str, Any]]:
    """GPUs and MIG devices by go-nvlib, through our library."""
    return list(_said("devices", {**gpu.environment, "LD_LIBRARY_PATH": str(toolchain.nvml().parent)}))


def mocks() -> dict[str, dict[str, Any]]:
    """The tables of go-nvml's mocks, by our names of the models."""
    return dict(_said("mocks", os.environ))


def _said(question: str, environment: Mapping[str, str]) -> Any:  # noqa: ANN401 - what JSON holds
    command = [toolchain.with_c("nvml-in-go", _PROGRAM), question]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)
