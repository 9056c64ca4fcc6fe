"""The table of what the stand-ins refuse names its tests."""

import re

from stacks import REPOSITORY


def test_every_test_that_the_table_of_refusals_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (REPOSITORY / "sandbox/refusals.md").read_text(encoding="utf-8")))
    files = (REPOSITORY / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)}
    assert named, "the table names no test"
    assert named - there == set()


def test_every_row_of_the_table_of_refusals_has_a_source_and_a_test() -> None:
    text = (REPOSITORY / "sandbox/refusals.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    _, _, *refusals = rows
    assert refusals
    for _, refused, _, source, tests in refusals:
        assert source, refused
        assert "`test_" in tests, refused
