"""The real engine on a stack that lives: it plans what tests/changes.py says, and what is kept for life is refused.

So engine_plan.py, which takes the engine's place over the whole table, is checked against it here. Nothing boots: see
person.py.
"""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from person import Person

from changes import CHANGES, Change

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
_VM, _COMMAND = "azure-native:compute:VirtualMachine", "command:remote:Command"
_SEEN = {
    "untouched": "untouched",
    "replaced": "replaced",
    "new": "new",
    "removed": "removed",
    "resized": "told",
    **dict.fromkeys(("stays", "restarted", "pods", "rebooted"), "told"),
}
"""What a preview shows of each word: what a command does on a machine it cannot know."""


@pytest.fixture(scope="module")
def stack(person: Person) -> Person:
    """The table's first stack, up."""
    person.run(sys.executable, "-m", "scripts.new_stack", "prod")
    person.link_environment()
    with edited(person, CHANGES["adminCidrs"], before=True):
        person.up()
    return person


class edited:  # noqa: N801 - a context
    """The stack file with an edit of the table, or as it is before it; afterwards as it was."""

    def __init__(self, person: Person, change: Change, *, before: bool = False) -> None:
        self._file = person.checkout / "Pulumi.prod.yaml"
        self._text = self._file.read_text()
        content: dict[str, Any] = yaml.safe_load(self._text)
        sections = {key: value for key, value in (change.before if before else change.after).items() if key != "ssh"}
        content["config"] |= {f"mig-k8s:{key}": value for key, value in sections.items()}
        content["config"]["azure-native:location"] = change.location
        self._edited, self._keep = yaml.safe_dump(content), before

    def __enter__(self) -> None:
        self._file.write_text(self._edited)

    def __exit__(self, *_: object) -> None:
        if not self._keep:
            self._file.write_text(self._text)


def seen(planned: dict[str, set[str]], machine: str) -> str:
    """What a preview shows of a machine."""
    operations = {name: operation for operation, names in planned.items() for name in names}
    vm = operations.get(f"{_VM} {machine}-vm", "same")
    if "replace" in vm:
        return "replaced"
    if vm in ("create", "delete"):
        return {"create": "new", "delete": "removed"}[vm]
    own = [f" {machine}-{part}" for part in ("vm", "ip", "nic", "shutdown", "release", "converge", "ready", "mig")]
    return (
        "told" if any(name.endswith(tuple(own)) for name in operations if operations[name] != "same") else "untouched"
    )


@pytest.mark.parametrize("what", ["rke2.tlsSans", "nodePools.migDevices: fewer", "rebuild", "nodePools: one less"])
def test_a_preview_shows_of_each_machine_what_the_table_says(stack: Person, what: str) -> None:
    change = CHANGES[what]
    with edited(stack, change):
        planned = stack.preview()
    assert {name: seen(planned, name) for name in change.machines} == {
        name: _SEEN[word] for name, word in change.machines.items()
    }


def told(person: Person, *arguments: str) -> str:
    """What a command says that has to fail."""
    return " ".join(person.refused(*arguments).split())


def there(person: Person) -> tuple[dict[str, str], str, dict[str, int]]:
    """The machines, everything in Azure, and how much was run on each machine."""
    machines = person.machines()
    azure = Path(person.environment.root / "azure.json").read_text()
    return machines, azure, {name: len(person.commands(vm_id)) for name, vm_id in machines.items()}


@pytest.mark.parametrize(
    ("what", "key", "was"),
    [
        ("rke2.cis", "mig-k8s:rke2.cis: true", "was made with false and keeps that as long as it lives"),
        (
            "rebuild, vm.zone",
            "mig-k8s:vm.zone: 2",
            "the stack was made with none and keeps that as long as it lives",
        ),
        ("vm.osDisk.sizeGib", "mig-k8s:vm.osDisk.sizeGib: 512", "was made with 256 and keeps that as long as it lives"),
    ],
)
def test_a_preview_refuses_what_is_kept_for_life(stack: Person, what: str, key: str, was: str) -> None:
    with edited(stack, CHANGES[what]):
        said = told(stack, "preview")
    assert key in said
    assert was in said
    assert "Traceback" not in said.partition("error:")[2].partition(key)[0]


@pytest.mark.parametrize(
    ("what", "key"),
    [
        ("azure-native:location", "azure-native:location: swedencentral"),
        ("network.podCidr", "network.podCidr: 10.44.0.0/16"),
    ],
)
def test_an_up_without_a_preview_refuses_it_before_anything_is_touched(stack: Person, what: str, key: str) -> None:
    before = there(stack)
    with edited(stack, CHANGES[what]):
        said = told(stack, "up", "--yes", "--skip-preview")
    assert key in said
    assert there(stack) == before


def test_what_is_protected_neither_goes_nor_is_made_anew_until_it_has_been_said_in_an_up_of_its_own(
    stack: Person,
) -> None:
    with edited(stack, CHANGES["vm.protect"]):
        stack.up()
    before = there(stack)
    for what, *command in (
        ("protected: nodePools: one less", "up", "--yes", "--skip-preview"),
        ("protected: rebuild", "up", "--yes", "--skip-preview"),
        ("protected: vm.protect, nodePools: one less", "preview"),
    ):
        with edited(stack, CHANGES[what]):
            said = told(stack, *command)
        assert "protect" in said, (what, said)
        # Without a preview the others are verified as if it were gone; deletions come last.
        assert there(stack)[:2] == before[:2], what
    with edited(stack, CHANGES["protected: vm.protect, rebuild"]):
        assert seen(stack.preview(), "train") == "replaced"
    stack.up()


def test_the_kubeconfig_is_read_again_by_one_command_and_nothing_else_is_done(stack: Person) -> None:
    """As docs/operations.md says it, after the certificates were made anew."""
    before = there(stack)
    urn = re.findall(r"urn:\S+::cluster-kubeconfig\b", stack.pulumi("stack", "--show-urns"))
    assert len(set(urn)) == 1
    stack.pulumi("up", "--yes", "--skip-preview", "--target-replace", urn[0])
    after = there(stack)
    assert after[:2] == before[:2]
    more = {name: after[2][name] - count for name, count in before[2].items()}
    assert more == {**dict.fromkeys(before[2], 0), "control": 1}
    assert "rke2.yaml" in " ".join(stack.commands(stack.machines()["control"])[-1])


def test_afterwards_the_old_stack_file_changes_nothing(stack: Person) -> None:
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
