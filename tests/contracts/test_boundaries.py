"""What each part must not import or do."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import REPOSITORY

COMPONENTS = sorted((REPOSITORY / "components").glob("*.py"))
PROGRAM = [
    path
    for part in ("plan", "components", "machine", "cloud-init", "__main__.py", "stack_config.py")
    for path in sorted((REPOSITORY / part).rglob("*") if (REPOSITORY / part).is_dir() else [REPOSITORY / part])
    if path.is_file() and not {"__pycache__", ".mypy_cache", ".ruff_cache"}.intersection(path.parts)
]
# The GPU Operator's chart has two keys of its own that begin with the word.
KNOWS_THE_SANDBOX = re.compile(r"sandbox(?!Workloads|DevicePlugin)|\bstand-?in|nspawn", re.IGNORECASE)
FORBIDDEN_NAMES = {"Config", "get_stack", "get_project", "open", "print", "eval", "exec", "getenv", "environ"}
FORBIDDEN_MODULES = {
    "os",
    "pathlib",
    "subprocess",
    "socket",
    "urllib",
    "http",
    "requests",
    "tempfile",
    "shutil",
    "time",
}


def test_the_plan_imports_no_pulumi() -> None:
    listed = "import sys, plan; print('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", listed], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    modules = set(run.stdout.split())
    assert "plan.stack" in modules, "this test looks at the wrong plan"
    assert not {name for name in modules if name.partition(".")[0].startswith("pulumi")}


def test_kubectl_and_ssh_at_a_sandbox_wait_for_neither_pulumi_nor_the_plan() -> None:
    """Importing them takes six times as long as the rest."""
    listed = "import sys, runpy; runpy.run_module('sandbox'); print('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", listed], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    modules = set(run.stdout.split())
    assert "sandbox.clients" in modules, "this test looks at the wrong module"
    assert not {name for name in modules if name.partition(".")[0] in {"pulumi", "grpc", "plan", "pydantic"}}


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.name)
def test_a_component_reads_no_configuration_and_does_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not imported & FORBIDDEN_MODULES
    assert not names & FORBIDDEN_NAMES


def test_modules_stay_small_enough_to_read() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PROGRAM if path.suffix != ".txt"}
    parts = {path.relative_to(REPOSITORY).parts[0] for path in lengths}
    assert {"plan", "components", "machine", "cloud-init"} <= parts
    assert {path: length for path, length in lengths.items() if length > 250 and path.suffix != ".yaml"} == {}
    assert len((REPOSITORY / "__main__.py").read_text(encoding="utf-8").splitlines()) <= 67


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_program_does_not_name_what_it_is_tried_on(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if KNOWS_THE_SANDBOX.search(line)]
    assert found == []
    assert not KNOWS_THE_SANDBOX.search(str(path.relative_to(REPOSITORY)))


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


SHARED = ("machine.documents.", "machine.placement")
"""What the plan and a machine share: the forms that cross between them, and how instances are placed."""


def test_the_plan_and_the_components_import_from_machine_only_its_documents_and_how_it_places_instances() -> None:
    found = {
        str(path.relative_to(REPOSITORY)): [
            name for name in _imports(path) if name.startswith("machine.") and not name.startswith(SHARED)
        ]
        for part in ("plan", "components")
        for path in (REPOSITORY / part).rglob("*.py")
    }
    assert {path: names for path, names in found.items() if names} == {}
    assert "plan/machine/desired_state.py" in found


def test_how_instances_are_placed_is_decided_in_one_place_and_purely() -> None:
    """It needs neither the plan nor anything else of a machine, reads nothing and writes nothing."""
    assert {name for name in _imports(REPOSITORY / "machine/placement.py") if name.startswith("machine.")} == {
        "machine.documents.layout.Place"
    }
    tree = ast.parse((REPOSITORY / "machine/placement.py").read_text(encoding="utf-8"))
    assert not {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & FORBIDDEN_NAMES
    users = {
        str(path.relative_to(REPOSITORY))
        for part in ("plan", "machine")
        for path in (REPOSITORY / part).rglob("*.py")
        if any(name.startswith("machine.placement.choose") for name in _imports(path))
    }
    assert users == {"plan/gpu/placement.py", "machine/gpu/change.py"}


def test_what_runs_on_a_machine_needs_nothing_but_the_standard_library() -> None:
    modules = sorted((REPOSITORY / "machine").rglob("*.py"))
    assert len(modules) > 50
    outside = {
        str(path.relative_to(REPOSITORY)): names
        for path in modules
        if (names := {name.partition(".")[0] for name in _imports(path)} - sys.stdlib_module_names - {"machine"})
    }
    assert outside == {}


def test_no_function_of_a_module_is_defined_twice_in_what_runs_on_a_machine() -> None:
    """A public one has one home. Names that a module has to have, such as add_parser, are its own."""
    homes: dict[str, list[str]] = {}
    for path in sorted((REPOSITORY / "machine").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                homes.setdefault(ast.dump(node, include_attributes=False), []).append(f"{path.stem}.{node.name}")
    assert [names for names in homes.values() if len(names) > 1] == []
