"""Fixtures of the scripts' tests."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_gpu import FakeGpu
from scripted_machine import STAGES, SYSTEMCTL, Machine

from sandbox.tools import toolchain


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose stages all succeed at once and whose systemd runs converge."""
    made = Machine(tmp_path)
    made.program("systemctl", SYSTEMCTL)
    for name in STAGES:
        made.stage(name, f"echo done {name} is well")
    yield made
    made.end()


@pytest.fixture
def real_stages(tmp_path: Path) -> Machine:
    """A machine with the real stages and no programs of its own yet."""
    made = Machine(tmp_path)
    for name in STAGES:
        made.copy(f"stages/{name}", f"usr/local/lib/mig-k8s/stages/{name}")
    return made


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], str], None]:
    """Wait for a condition, at most half a minute."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited 30 s for {what}")
            time.sleep(0.02)

    return wait


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
