"""Fixtures of the tests of what runs on a machine."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from a_machine import AMachine
from gpus import Gpus

from sandbox.tools import toolchain


@pytest.fixture
def a_machine(tmp_path: Path) -> AMachine:
    """A machine that was told what to be; no GPU, no Kubernetes (`a_machine.join()`)."""
    return AMachine.below(tmp_path)


@pytest.fixture(scope="session")
def gpu_program() -> Path:
    """The sandbox's GPU program, to be called by names such as nvidia-smi and load-driver. Built at its first use."""
    return toolchain.gpu()


@pytest.fixture
def gpus(a_machine: AMachine, gpu_program: Path) -> Callable[..., Gpus]:
    """Makes the machine one with these GPU models, MIG mode off, and no Kubernetes."""
    return lambda *models: Gpus(a_machine, gpu_program, models)


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
