"""What the sandbox builds without optimization is of its modules: a pattern that matches nothing is silent."""

import re
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "sandbox" / "tools"
FILES = sorted(TOOLS.rglob("go.unoptimized"))


def test_two_modules_have_such_a_file() -> None:
    assert [file.parent.name for file in FILES] == ["kubernetes", "pulumi"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_each_pattern_is_of_a_module_that_is_required(file: Path) -> None:
    modules = re.findall(r"^\s*(\S+) v\d\S*(?: // indirect)?$", (file.parent / "go.mod").read_text(), re.MULTILINE)
    patterns = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert len(patterns) == len(set(patterns)) > 1
    for pattern in patterns:
        begins = pattern.removesuffix("/...")
        assert begins != pattern, pattern
        assert any(
            f"{module}/".startswith(f"{begins}/") or f"{begins}/".startswith(f"{module}/") for module in modules
        ), pattern
