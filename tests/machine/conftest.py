"""Fixtures of the tests of what runs on a machine."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from a_machine import AMachine
from full_disk import FillDisk, filler
from gpus import Gpus
from install_stages import for_stages
from rke2_on_machine import put_rke2_up, rke2_machine_of

from machine.host.signals import SIGNALS
from sandbox.tools import toolchain


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """A command that runs in the process of the tests sets signal handlers; this sets those of the tests again."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def a_machine(tmp_path: Path) -> AMachine:
    """A machine that was told what to be; no GPU, no Kubernetes (`a_machine.join()`)."""
    return AMachine.below(tmp_path)


@pytest.fixture
def real_stages(tmp_path: Path) -> AMachine:
    """A machine for the real stages, with no programs of its own yet."""
    return for_stages(tmp_path)


@pytest.fixture
def rke2_machine(real_stages: AMachine) -> AMachine:
    """A server for the rke2 stage, with nothing installed yet."""
    return rke2_machine_of(real_stages)


@pytest.fixture(scope="session")
def server_that_is_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `rke2_server`, to be copied: to run the stage takes thirty times as long."""
    return put_rke2_up(for_stages(tmp_path_factory.mktemp("server")), "server")


@pytest.fixture
def rke2_server(tmp_path: Path, server_that_is_up: Path) -> AMachine:
    """A server whose RKE2 the stage has installed and started; no call is remembered."""
    shutil.copytree(server_that_is_up, tmp_path, dirs_exist_ok=True)
    return AMachine.below(tmp_path)


@pytest.fixture(scope="session")
def agent_that_is_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `rke2_agent`, to be copied."""
    return put_rke2_up(for_stages(tmp_path_factory.mktemp("agent")), "agent")


@pytest.fixture
def rke2_agent(tmp_path: Path, agent_that_is_up: Path) -> AMachine:
    """An agent whose RKE2 the stage has installed and started; no call is remembered."""
    shutil.copytree(agent_that_is_up, tmp_path, dirs_exist_ok=True)
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


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> FillDisk:
    """From now on the disk has no room for the content of files of this name, where `when` holds."""
    return filler(monkeypatch)


@pytest.fixture
def a100(gpus: Callable[..., Gpus]) -> Gpus:
    """An A100 with MIG mode on and no instances."""
    made = gpus("A100-80GB")
    made.enable()
    return made
