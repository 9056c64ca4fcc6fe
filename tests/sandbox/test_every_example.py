"""Every example comes up whole, from nothing to verified pods. `make examples`; not a part of `make test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CHECKOUT, CommandLine, own_sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.examples, pytest.mark.timeout(1500)]
INSIDE = CHECKOUT / "examples/air-gapped.yaml"
"""The one of which more is to be seen."""
OTHERS = sorted({*(CHECKOUT / "examples").glob("*.yaml")} - {INSIDE})


@pytest.fixture
def person(obstacle: str | None) -> Iterator[CommandLine]:
    with own_sandbox(obstacle, "example") as person:
        yield person


@pytest.mark.parametrize("example", OTHERS, ids=lambda path: path.stem)
def test_an_example_comes_up_and_is_verified(person: CommandLine, example: Path) -> None:
    person.up(example, seconds=1200)
    assert person.output("verification")["passed"] is True


def test_a_machine_inside_asks_only_the_mirrors_of_its_stack_file(person: CommandLine) -> None:
    person.up(INSIDE, seconds=600)
    assert person.output("verification")["passed"] is True
    pods = person.get("pods", "--all-namespaces")["items"]
    images = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    assert images
    assert {image.partition("/")[0] for image in images} == {"registry.example.org"}
    pinned = "sudo grep -h 'sandbox = ' /var/lib/rancher/rke2/agent/etc/containerd/config.toml"
    assert 'sandbox = "registry.example.org/rancher/' in person.ssh(pinned, machine="inside")
    sources = "cat /etc/apt/sources.list.d/*.sources; ls /etc/apt/sources.list*"
    said = person.ssh(sources, machine="inside")
    assert f"URIs: {person.sandbox.mirror_url}/ubuntu\n" in said
    assert "/etc/apt/sources.list\n" not in said
