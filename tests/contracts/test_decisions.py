"""docs/adr: each page says its status and date, numbers have no gaps, and the index says what the pages say."""

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from stacks import REPOSITORY

ADR = REPOSITORY / "docs/adr"
PAGES = sorted(ADR.glob("[0-9]*.md"))
_LINK = r"\[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\)"
_HEAD = re.compile(
    r"# (?P<number>\d{4}) (?P<title>.+)\n\n"
    rf"Status: (?P<status>accepted|never used|superseded (?:in part )?by {_LINK}(?:, {_LINK})*)\. "
    r"Date: (?P<date>\d{4}-\d\d-\d\d)\.\n\n"
)


@dataclass(frozen=True)
class Head:
    """The first three lines of a page."""

    number: str
    title: str
    status: str
    date: str


def head(page: Path) -> Head:
    found = _HEAD.match(page.read_text(encoding="utf-8"))
    assert found, f"{page.name}: its first three lines are not number and title, an empty one, status and date"
    return Head(**found.groupdict())


def row(page: Path) -> str:
    """What the index has of a page."""
    about = head(page)
    status = re.sub(r"\[(\d{4})\]\([^)]*\)", r"\1", about.status)
    return f"| [{about.number}]({page.name}) | {about.title} | {status} | {about.date} |"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem[:4])
def test_a_page_begins_with_its_number_a_status_of_the_four_and_a_date(page: Path) -> None:
    about = head(page)
    assert page.name.startswith(f"{about.number}-")
    dt.date.fromisoformat(about.date)


def test_the_numbers_have_no_gap_and_none_is_there_twice() -> None:
    assert [head(page).number for page in PAGES] == [f"{number:04}" for number in range(1, len(PAGES) + 1)]
    assert len(PAGES) >= 42


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem[:4])
def test_a_page_is_superseded_by_later_pages_that_exist(page: Path) -> None:
    for number, link in re.findall(r"\[(\d{4})\]\(([^)]+)\)", head(page).status):
        assert (ADR / link).is_file(), f"{page.name} names {link}"
        assert link.startswith(f"{number}-")
        assert number > head(page).number


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem[:4])
def test_every_page_that_a_page_links_to_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+\.md)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (ADR / link).is_file()] == []


def test_the_index_has_every_page_with_title_status_and_date() -> None:
    """A page's title, status and date are written in the page; what this prints is the index that is due."""
    rows = [row(page) for page in PAGES]
    index = (ADR / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in index if line.startswith("| [")] == rows, "\n".join(["the rows of the index are", *rows])
