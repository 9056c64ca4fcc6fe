"""Faults that take a machine of its own: an nvidia-smi that hangs for two minutes, a driver that costs a kernel."""

import os
from collections.abc import Iterator

import pytest
from command_line import CHECKOUT, CommandLine, own_sandbox

from sandbox.mirror import nvidia_packages

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]


@pytest.fixture
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, in which nothing has been made yet."""
    with own_sandbox(obstacle, "hang") as person:
        yield person


def test_an_nvidia_smi_that_hangs_is_ended_and_told_and_the_next_up_finishes(person: CommandLine) -> None:
    person.run("fault", "smi-hangs")
    said = person.run("up", str(CHECKOUT / "Pulumi.dev.yaml"), status=1, seconds=300)
    assert (
        "driver failed: the driver is installed but does not work: nvidia-smi said nothing within 120 s. "
        "See dmesg | grep -i nvrm."
    ) in said
    assert "mig-mode skipped: not tried, because driver failed" in said
    assert "done: RKE2 v1.36.4+rke2r1 server is ready" in said
    person.run("fault", "smi-hangs", "--off")
    person.run("up", str(CHECKOUT / "Pulumi.dev.yaml"), seconds=240)
    assert person.output("verification")["passed"] is True


def test_modules_of_an_older_driver_cost_one_reboot_into_the_metapackages_kernel(person: CommandLine) -> None:
    kernel = os.uname().release
    newer = nvidia_packages.next_kernel(kernel)
    person.run("fault", "modules-stale")
    said = person.run("up", str(CHECKOUT / "Pulumi.dev.yaml"), seconds=300)
    assert f"the modules for the running kernel {kernel} are" in said  # the sandbox shows the first 100 columns
    machine_said = person.ssh("journalctl --no-pager -o cat -u mig-k8s-converge.service")
    assert f"the modules for the running kernel {kernel} are of 580.126.09, those of " in machine_said
    assert (
        f"(kernel {newer}) of 580.159.04; the driver is 580.159.04: kernel {newer} comes with its modules"
        in machine_said
    )
    assert person.ssh("uname -r").strip() == newer
    assert person.output("verification")["passed"] is True
