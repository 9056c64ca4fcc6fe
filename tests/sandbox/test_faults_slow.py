"""An nvidia-smi that hangs: two minutes of waiting, on a machine of its own."""

import os
from collections.abc import Iterator

import pytest
from command_line import CHECKOUT, CommandLine

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(420)]


@pytest.fixture
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, in which nothing has been made yet."""
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    person = CommandLine(f"test-{os.getpid()}-hang")
    try:
        yield person
    finally:
        person.run("down", seconds=120)


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
