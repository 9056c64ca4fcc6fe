"""Fixtures of the tests of what runs on a machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from a_machine import AMachine
from gpus import Gpus

from sandbox import toolchain


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
def a100(gpus: Callable[..., Gpus]) -> Gpus:
    """An A100 with MIG mode on and no instances."""
    made = gpus("A100-80GB")
    made.enable()
    return made
