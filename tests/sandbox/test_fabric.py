"""Machines whose GPUs NVSwitch joins: CUDA needs Fabric Manager there, and what lacks is named."""

import os
from collections.abc import Iterator

import pytest
from command_line import CHECKOUT, CommandLine

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, in which nothing has been made yet."""
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    person = CommandLine(f"test-{os.getpid()}-fabric")
    try:
        yield person
    finally:
        person.run("down", seconds=120)


def test_an_archive_without_fabric_manager_is_named_and_the_next_up_finishes(person: CommandLine) -> None:
    person.run("fault", "fabric-manager-missing")
    said = person.run("up", str(CHECKOUT / "examples/h200.yaml"), status=1, seconds=400)
    assert "fabric-manager failed: apt knows no nvidia-fabricmanager-580. Without Fabric Manager CUDA fails" in said
    person.run("fault", "fabric-manager-missing", "--off")
    person.run("up", str(CHECKOUT / "examples/h200.yaml"), seconds=400)
    assert person.output("verification")["passed"] is True
