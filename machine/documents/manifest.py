"""The manifest of a release: every file of it with its digest, so that a machine can tell a whole one."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from machine.documents.form import Document, Form

NAME = "manifest.json"
"""The manifest's own file; it lists all others."""
HOME = "/usr/local/lib/mig-k8s"
"""Where a machine's releases lie."""
BORN = f"{HOME}/incoming.cloud-init"
"""What cloud-init writes; it becomes a release when cloud-init installs it."""


@dataclass(frozen=True)
class ReleaseFile(Form):
    """A file: SHA-256 of its content, and whether it can be run."""

    digest: str
    runnable: bool


@dataclass(frozen=True)
class Manifest(Document):
    """All files of a release by their path in it, such as `machine/host/clock.py`."""

    NAME: ClassVar[str] = "the release's manifest"

    files: dict[str, ReleaseFile]

    def __post_init__(self) -> None:
        for path in self.files:
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} does not lie in the release")

    @property
    def release(self) -> str:
        """The release's name: the beginning of the SHA-256 of its manifest. Equal names, equal files."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
