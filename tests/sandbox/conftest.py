"""Machines for the tests, in a sandbox of this run's own."""

import os
from collections.abc import Iterator

import pytest
from administrator import Boot, KeyPair, Keys

from longest_first import bring_forward
from sandbox import cache, lifecycle, network
from sandbox.error import SandboxError
from sandbox.host import machine
from sandbox.instance import Sandbox, default_root
from sandbox.mirror.server import Mirror
from sandbox.process import ProcessId
from warm_interpreter import warm

LEFTOVER_SECONDS = 100
"""Less than a test may last: this is a part of the first one."""
LONGEST_FIRST = (
    "test_several_machines",
    "test_living_cluster",
    "test_long_life",
    "test_growing",
    "test_faults",
    "test_whole_way",
    "test_in_use",
    "test_fabric",
    "test_tutorial",
    "test_mig_manager",
    "test_faults_slow",
    "test_takeover",
    "test_cluster_joining",
    "test_cluster_rke2",
)
"""Files of which each is a cluster's life."""
NUMBERS = range(200, 250)  # of 10.99.N; people's sandboxes count from 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    bring_forward(items, LONGEST_FIRST)


@pytest.fixture(scope="session")
def obstacle() -> str | None:
    return machine.obstacle()


@pytest.fixture(scope="session", autouse=True)
def _killed_runs_are_cleaned_up(obstacle: str | None) -> None:
    """The names of their sandboxes have their pid: test-PID, test-PID-way.

    Each worker of a run finds the same ones. One ends them, the others wait for it; so they do for a command that a
    killed run has left at work.
    """
    for leftover in default_root().parent.glob("test-*") if obstacle is None else ():
        if ProcessId.of(int(leftover.name.split("-")[1])) is None:
            lifecycle.down(leftover.name, seconds=LEFTOVER_SECONDS)


@pytest.fixture(scope="session", autouse=True)
def _warm_interpreter() -> Iterator[None]:
    with warm():
        yield


@pytest.fixture(scope="session")
def sandbox(obstacle: str | None) -> Iterator[Sandbox]:
    """A sandbox in the user's state directory: what a killed run leaves is found by the next one, and by people."""
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    name = f"test-{os.getpid()}"
    for number in NUMBERS:
        instance = Sandbox(name=name, root=default_root(name), network=f"10.99.{number}")
        instance.save()
        try:
            network.up(instance)
        except SandboxError:
            continue
        yield instance
        _end(instance)
        return
    pytest.fail("no network 10.99.200 to 10.99.249 is free")


def _end(instance: Sandbox) -> None:
    for vm_id in instance.machine_ids:
        machine.stop(instance, vm_id)
    Mirror(instance).stop()
    network.down(instance)
    cache.remove(instance.root)


@pytest.fixture(scope="session")
def mirror(sandbox: Sandbox) -> Mirror:
    mirror = Mirror(sandbox)
    mirror.start()
    return mirror


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    return Keys(admin=KeyPair.make(folder, "admin"), host=KeyPair.make(folder, "host"), folder=folder)


@pytest.fixture(scope="module")
def boot(sandbox: Sandbox, keys: Keys) -> Iterator[Boot]:
    """Starts machines; they end with the module."""
    boot = Boot(sandbox, keys)
    yield boot
    for booted in boot.machines:
        machine.stop(sandbox, booted.spec.vm_id)
