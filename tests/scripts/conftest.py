"""Fixtures of the scripts' tests."""

from pathlib import Path

import pytest
from fake_gpu import FakeGpu

from sandbox.tools import toolchain


@pytest.fixture
def gpu(tmp_path: Path, gpu_program: Path) -> FakeGpu:
    """The tutorial's A100 80GB PCIe with driver 580.159.04 loaded and MIG mode off."""
    directory = tmp_path / "gpu"
    directory.mkdir()
    made = FakeGpu(directory, gpu_program)
    made.plug({})
    made.load_driver()
    return made


@pytest.fixture(scope="session")
def gpu_program() -> Path:
    """The sandbox's GPU program, to be called by names such as nvidia-smi and load-driver. Built at its first use."""
    return toolchain.gpu()
