"""docs/architecture.md: one page whose steps are files that exist."""

import re

from stacks import REPOSITORY

TEXT = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")


def test_the_way_of_mig_devices_has_at_most_ten_steps_each_a_file_that_exists() -> None:
    steps = re.findall(r"^\| (\d+) \| .* \| `([^`]+)` \|$", TEXT, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert 5 <= len(steps) <= 10
    assert [path for _, path in steps if not (REPOSITORY / path).is_file()] == []


def test_every_file_and_folder_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*)`|\]\(([^)]+)\)", TEXT)
    paths = [REPOSITORY / path if path else REPOSITORY / "docs" / link for path, link in named]
    assert len(paths) > 10
    assert [str(path) for path in paths if not path.exists()] == []


def test_the_page_is_one_page() -> None:
    assert len(TEXT.splitlines()) <= 60
