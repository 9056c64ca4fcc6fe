"""The checklists of CONTRIBUTING.md: what each adds is complete in every place that it names."""

import ast
import json
import re
from pathlib import Path

import pytest

from plan.gpu.catalogue import gpu_models
from sandbox.faults import fault
from sandbox.faults import gpu as fault_gpu
from sandbox.faults import machine as fault_machine
from sandbox.faults import mirror as fault_mirror
from stacks import REPOSITORY

TESTS = {
    path.name: path.read_text(encoding="utf-8")
    for folder in ("sandbox", "engine", "scripts")
    for path in (REPOSITORY / "tests" / folder).glob("test_*.py")
}
SECTION = (REPOSITORY / "sandbox/README.md").read_text(encoding="utf-8").partition("\n## Faults\n")[2]
ROWS = dict(re.findall(r"^\| `([\w-]+)` \|.*\| ([^|]+) \|$", SECTION, re.MULTILINE))


# ---- a GPU


def test_every_gpu_of_the_catalogue_is_one_that_the_fake_driver_has_more_of() -> None:
    """The same profiles; without them the fake nvidia-smi ends at the first question."""
    file = REPOSITORY / "sandbox/gpu/driver/models.json"
    details = json.loads(file.read_text(encoding="utf-8"))["models"]
    assert {name: set(entry["profiles"]) for name, entry in details.items()} == {
        name: {profile.name for profile in model.profiles} for name, model in gpu_models().items()
    }


# ---- a fault


def test_every_fault_is_a_row_of_the_table_and_every_row_a_fault() -> None:
    assert set(ROWS) == set(fault.ABOUT), "the table of faults in sandbox/README.md"


def test_every_fault_does_something() -> None:
    """Beside ABOUT in the module of its kind; without that it is switched on, and nothing happens."""
    assert set(fault_mirror.ABOUT) == {*fault_mirror.PACKAGES, *fault_mirror.FILES, *fault_mirror.TRANSFERS}
    assert set(fault_machine.ABOUT) == set(fault_machine.UNITS)
    assert set(fault_gpu.ABOUT) == set(fault_gpu.KEYS)


@pytest.mark.parametrize("name", sorted(fault_gpu.KEYS))
def test_the_gpus_stand_in_reads_what_is_written_for_a_fault(name: str) -> None:
    """Go leaves out a field that it does not know, without a word."""
    source = (REPOSITORY / "sandbox/gpu/driver/hardware.go").read_text(encoding="utf-8")
    fields = source.partition("type Faults struct {")[2].partition("\n}")[0]
    read = set(re.findall(r'json:"(\w+)"', fields))
    assert set(fault_gpu.KEYS[name]) <= read, "type Faults in sandbox/gpu/driver/hardware.go"


@pytest.mark.parametrize("name", sorted(fault.ABOUT))
def test_a_fault_is_switched_on_by_a_test_and_its_row_names_tests_that_exist(name: str) -> None:
    assert any(f'"{name}"' in text for text in TESTS.values()), f'no test has "{name}"'
    assert name in ROWS, "the table of faults in sandbox/README.md"
    named = re.findall(r"`([^`]+)`", ROWS[name])
    assert named
    for each in named:
        if each.endswith(".py"):
            assert Path(each).name in TESTS, each
        else:
            part = re.escape(each.strip("…"))
            assert any(re.search(rf"^def test_\w*{part}", text, re.MULTILINE) for text in TESTS.values()), each


# ---- a check of the verification


def _name_of_check(call: ast.Call) -> str:
    """The words of a check's name that stand in the program; empty where all of it comes from elsewhere."""
    name = call.args[0]
    if isinstance(name, ast.JoinedStr):
        name = next((part for part in name.values if isinstance(part, ast.Constant)), name)
    return str(name.value).strip() if isinstance(name, ast.Constant) else ""


def test_every_check_of_the_verification_is_named_in_the_page_on_outputs() -> None:
    page = (REPOSITORY / "docs/outputs.md").read_text(encoding="utf-8").replace("\n", " ")
    found = {
        _name_of_check(node)
        for path in (REPOSITORY / "machine/verification").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Check.of"
    } - {""}
    assert {"ready", "ClusterPolicy", "sees its device"} <= found
    assert {name for name in found if name not in page} == set()
