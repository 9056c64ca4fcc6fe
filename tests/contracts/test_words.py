"""docs/glossary.md: no file uses a word that the page replaces."""

import re
import subprocess
from pathlib import Path

from stacks import REPOSITORY

_PAGE = REPOSITORY / "docs/glossary.md"
_TERMS, _, _REPLACED = _PAGE.read_text(encoding="utf-8").partition("\n## Words that are not used\n")
_WORDS = [
    word for row in re.findall(r"^\| ([^|]+) \| [^|]+ \|$", _REPLACED, re.MULTILINE)[1:] for word in row.split(", ")
]
_FOLDERS = (
    "cloud-init",
    "components",
    "docs",
    "examples",
    "machine",
    "plan",
    "sandbox",
    "scripts",
    "tests",
)
_DRAWN = (".cast", ".css", ".svg")
"""Written by programs, or in the words of a browser."""
_NAMES_ON_DISKS = ("/var/lib/mig-k8s/born",)
"""Living machines have them."""


def _files() -> list[Path]:
    """What people read of the repository: its pages, code and tests, but for decisions, which are not edited."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.py", *_FOLDERS], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    paths = [Path(line) for line in listed.stdout.splitlines()]
    ours = [path for path in paths if len(path.parts) == 1 or path.parts[0] in _FOLDERS]
    read = [path for path in ours if path.suffix not in _DRAWN]
    own = (_PAGE, Path(__file__))
    return [path for path in read if path.parts[:2] != ("docs", "adr") and REPOSITORY / path not in own]


def test_the_page_has_both_lists() -> None:
    assert {"born", "handed over", "box"} <= set(_WORDS)
    assert len(re.findall(r"^\| [^|]+ \| [^|]+ \|$", _TERMS, re.MULTILINE)) > 40


def test_no_word_that_another_one_replaces_is_used() -> None:
    either = "|".join(word.replace(" ", r"\s+") for word in _WORDS)
    replaced = re.compile(rf"\b({either})\b", re.IGNORECASE)
    found = []
    for path in _files():
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        for name in _NAMES_ON_DISKS:
            text = text.replace(name, "")
        for word in replaced.finditer(text):
            line = text.count("\n", 0, word.start()) + 1
            found.append(f"{path}:{line}: {word[0]}")
    assert found == []
