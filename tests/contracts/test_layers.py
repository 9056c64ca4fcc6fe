"""Folders of a package are layers: whoever imports from one is above it, so that no two need each other."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacks import REPOSITORY


def _imported(file: Path) -> Iterator[str]:
    """Dotted names that a file imports: modules, and names from them, which may be modules too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _needs(package: str) -> dict[str, set[str]]:
    """The layers that each layer imports from; a layer is a folder of the package, or a module on top of it."""
    root = REPOSITORY / package
    files = [file for file in root.rglob("*.py") if file != root / "__init__.py"]
    layers = {file.relative_to(root).parts[0].removesuffix(".py") for file in files}
    needs: dict[str, set[str]] = {layer: set() for layer in layers}
    for file in files:
        layer = file.relative_to(root).parts[0].removesuffix(".py")
        for name in _imported(file):
            first, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if first == package and other in layers and other != layer:
                needs[layer].add(other)
    return needs


@pytest.mark.parametrize("package", ["plan", "sandbox"])
def test_no_two_folders_need_each_other(package: str) -> None:
    needs = _needs(package)
    assert any(needs.values())
    try:
        list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"these need each other: {' → '.join(error.args[1])}")


def test_the_plans_folders_lie_above_each_other_in_this_order() -> None:
    """GPUs below the stack file, that below machines, those below the cluster; what shows all of it is on top."""
    sorted_layers = list(graphlib.TopologicalSorter(_needs("plan")).static_order())
    order = ["problems", "gpu", "stack_file", "machine", "cluster", "stack", "report", "__main__"]
    assert [sorted_layers.index(layer) for layer in order] == sorted(sorted_layers.index(layer) for layer in order)
