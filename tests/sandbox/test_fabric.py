"""Machines whose GPUs NVSwitch joins: CUDA needs Fabric Manager there, and what lacks is named."""

from collections.abc import Iterator

import pytest
from command_line import CHECKOUT, CommandLine, own_sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]


@pytest.fixture
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, in which nothing has been made yet."""
    with own_sandbox(obstacle, "fabric") as person:
        yield person


def test_an_archive_without_fabric_manager_is_named_and_the_next_up_finishes(person: CommandLine) -> None:
    person.run("fault", "fabric-manager-missing")
    said = person.run("up", str(CHECKOUT / "examples/h200.yaml"), status=1, seconds=400)
    assert "fabric-manager failed: apt knows no nvidia-fabricmanager-580. Without Fabric Manager CUDA fails" in said
    person.run("fault", "fabric-manager-missing", "--off")
    person.run("up", str(CHECKOUT / "examples/h200.yaml"), seconds=400)
    assert person.output("verification")["passed"] is True


def test_a_fabric_of_a100s_that_is_not_ready_is_found_by_a_pod_and_the_next_up_verifies(person: CommandLine) -> None:
    """nvidia-smi shows nothing of the fabric on A100s: only CUDA tells it there."""
    person.run("fault", "fabric-not-ready")
    said = person.run("up", str(CHECKOUT / "examples/a100-40.yaml"), status=1, seconds=600)
    assert "CUDA waits for the fabric between the GPUs (error 802: system not yet initialized)" in said
    person.run("fault", "fabric-not-ready", "--off")
    person.run("up", str(CHECKOUT / "examples/a100-40.yaml"), seconds=400)
    assert person.output("verification")["passed"] is True


def test_of_two_forms_of_the_h100_only_the_one_with_nvswitch_runs_fabric_manager(person: CommandLine) -> None:
    person.run("up", str(CHECKOUT / "examples/h100.yaml"), seconds=600)
    assert person.output("verification")["passed"] is True
    unit = "systemctl is-active nvidia-fabricmanager"
    assert person.ssh(unit, machine="h100-sxm").strip() == "active"
    assert person.ssh(unit, machine="h100", statuses=(3, 4)).strip() == "inactive"
