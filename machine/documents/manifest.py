"""The manifest of a release: what identifies all of its files together, so that a machine can tell a whole one."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from machine.documents.form import Document

FILE = "manifest.json"
"""The manifest's own file in a release; all others count."""
HOME = "/usr/local/lib/mig-k8s"
"""Where a machine's releases lie."""


@dataclass(frozen=True)
class Manifest(Document):
    """`digest` is `files_digest` of the release's files."""

    NAME: ClassVar[str] = "the release's manifest"

    digest: str

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.digest):
            raise ValueError("its digest is not a SHA-256")

    @property
    def release(self) -> str:
        """The release's name, and that of its folder on a machine. Equal names, equal files."""
        return self.digest[:16]


def files_digest(files: Iterable[tuple[str, bool, bytes]]) -> str:
    """SHA-256 over path in the release, whether it can be run, and content of each file, in the order of the paths."""
    lines = [f"{hashlib.sha256(content).hexdigest()} {int(runnable)} {path}\n" for path, runnable, content in files]
    return hashlib.sha256("".join(sorted(lines, key=lambda line: line.split(" ", 2)[2])).encode()).hexdigest()
