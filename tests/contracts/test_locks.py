"""The locks hold exactly what the requirements pin, and a hash of everything."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def versions(content: str) -> dict[str, str]:
    """Package → version, by the name that all its spellings have in common."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in LINE.findall(content)}


def pinned(name: str) -> dict[str, str]:
    """What a file of requirements pins, with the file that it includes."""
    content = text(name)
    included = [versions(text(other)) for other in re.findall(r"^-r (\S+)$", content, re.MULTILINE)]
    return {**versions(content), **{package: version for each in included for package, version in each.items()}}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-mutation"])
def test_a_lock_has_each_pin_and_is_whole(name: str) -> None:
    lock, wanted = text(f"{name}.lock"), pinned(f"{name}.txt")
    assert {package: version for package, version in versions(lock).items() if package in wanted} == wanted
    # What is there besides came for something else that is there.
    blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(LINE.findall(lock)) > len(wanted)
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]
        assert " via " in block or "# via\n" in block, block.splitlines()[0]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-mutation"])
def test_a_lock_says_how_it_is_made_and_names_no_index(name: str) -> None:
    lock = text(f"{name}.lock")
    assert (
        f"uv pip compile --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header {name}.txt"
        in lock
    )
    assert "://" not in lock


def test_the_lock_of_the_program_is_part_of_the_other() -> None:
    """What `pulumi up` runs on is what the tests ran on."""
    assert versions(text("requirements.lock")).items() <= versions(text("requirements-dev.lock")).items()


def test_the_machines_tests_on_python_310_have_the_same_versions() -> None:
    """Except hypothesis, of which Python 3.10 has no newer version."""
    older = versions(text("tests/machine/requirements-3.10.txt"))
    assert {package for package, version in older.items() if pinned("requirements-dev.txt")[package] != version} == {
        "hypothesis"
    }
