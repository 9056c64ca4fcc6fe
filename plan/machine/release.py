"""The release: everything of ours that runs on a machine, as files with their manifest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from machine.documents.manifest import FILE, Manifest, files_digest
from plan.machine.source import for_machines

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_MAIN = "machine/__main__.py"
_FOLDERS = {"stages": True, "library": False, "units": False, "entry-points": True}
"""Folders of cloud-init/ that are folders of a release, and whether their files can be run."""
_ONLY_OVER_SSH = (
    "machine/backup/",
    "machine/cluster/",
    "machine/mig_manager/",
    "machine/update/",
    "machine/verification/",
    "machine/documents/backup.py",
    "machine/documents/mig_manager_layout.py",
    "machine/documents/node_removal.py",
    "machine/documents/verification_report.py",
)
"""What nobody can call before `pulumi up` has brought the whole release: it is left out of the user-data."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.sh|\.service)?")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)  # the same or not: it is packed once
class Release:
    """Files by their path in the release, its manifest among them."""

    contents: dict[str, str]
    name: str
    """Equal names, equal files."""

    @classmethod
    def of(cls, files: Mapping[str, str]) -> "Release":
        """A release of these files."""
        digest = files_digest((path, is_runnable(path), text.encode()) for path, text in files.items())
        manifest = Manifest(digest)
        return cls(contents={**files, FILE: manifest.to_json()}, name=manifest.release)


def is_runnable(path: str) -> bool:
    """Whether a file of a release can be run by itself."""
    return _FOLDERS.get(path.partition("/")[0], False)


def release() -> Release:
    """The release of this checkout. Raises FileNotFoundError when it is incomplete."""
    return _release(_REPOSITORY)


@cache
def first_release() -> Release:
    """The release in the user-data: all that brings the machine up at every boot, and receives the whole release."""
    left_out = (FILE, *_ONLY_OVER_SSH)
    return Release.of({path: text for path, text in release().contents.items() if not path.startswith(left_out)})


@cache
def _release(repository: Path) -> Release:
    return Release.of(
        {path: for_machines(path, source.read_text(encoding="utf-8")) for path, source in _sources(repository)}
    )


def _sources(repository: Path) -> list[tuple[str, Path]]:
    """Path in the release, and where it lies in the checkout."""
    modules = [path for path in (repository / "machine").rglob("*.py") if path != repository / _MAIN]
    folders = {folder: repository / "cloud-init" / folder for folder in _FOLDERS}
    scripts = {
        folder: [path for path in sorted(source.iterdir()) if path.is_file() and _NAME.fullmatch(path.name)]
        for folder, source in folders.items()
        if source.is_dir()
    }
    missing = [f"cloud-init/{folder}" for folder in _FOLDERS if not scripts.get(folder)]
    if not (repository / _MAIN).is_file():
        missing.insert(0, _MAIN)
    if missing:
        raise FileNotFoundError(f"this checkout lacks {', '.join(missing)}: a machine cannot be made without them")
    return [
        ("__main__.py", repository / _MAIN),
        *((str(path.relative_to(repository)), path) for path in sorted(modules)),
        *((f"{folder}/{path.name}", path) for folder, paths in scripts.items() for path in paths),
    ]
