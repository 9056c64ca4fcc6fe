"""The release: everything of ours that runs on a machine, as files with their manifest and as SSH delivers it."""

import base64
import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from machine.documents.manifest import FILE, HOME, Manifest, files_digest
from plan.machine.source import for_machines

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_MAIN = "machine/__main__.py"
_FOLDERS = {"stages": True, "library": False, "units": False, "entry-points": True}
"""Folders of cloud-init/ that are folders of a release, and whether their files can be run."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.sh|\.service)?")
PYTHON = "/usr/bin/python3"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
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


@cache  # a stack has one release and many machines
def delivery(sent: Release) -> str:
    """The release as the standard input of `delivery_command`: base64 of a .tar.gz, the same text every time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sent.contents.items():
            data = content.encode()
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755 if is_runnable(path) else 0o644
            archive.addfile(entry, io.BytesIO(data))
    # No time in it: an unchanged release is an unchanged command.
    return base64.encodebytes(gzip.compress(packed.getvalue(), mtime=0)).decode()


def delivery_command(*, home: str = HOME, python: str = PYTHON) -> str:
    """What receives a release on a machine and has it install itself. It needs nothing of what is there already.

    A shell of its own: standard input must not be read before tar reads it.
    """
    return (
        f'sh -c \'d={home}/incoming.$$; rm -rf "$d"; mkdir -p "$d" && base64 -d | tar -xzf - -C "$d" ||'
        f' {{ rm -rf "$d"; echo "the release did not arrive whole; run it again" >&2; exit 1; }};'
        f' exec {python} -I -B "$d" install\''
    )
