"""Whether a release can be trusted with this machine: whole, startable, and able to read what lies on its disk."""

import hashlib
import importlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

from machine.documents import desired_state, expectations, layout, manifest
from machine.documents.desired_state import DesiredState
from machine.documents.expectations import Expectations
from machine.documents.form import Document, DocumentError
from machine.documents.layout import Layout
from machine.documents.manifest import Manifest
from machine.host.errors import UsageError
from machine.host.this_machine import ThisMachine

_ON_DISK: dict[str, type[Document]] = {
    desired_state.PATH: DesiredState,
    layout.PATH: Layout,
    expectations.PATH: Expectations,
}
"""What outlives a release on a machine's disk; a result that is not understood is an empty one."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the release in `folder`. Raises UsageError."""
    try:
        return Manifest.from_json((folder / manifest.NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        raise UsageError(f"the release in {folder} is not whole: {error}") from None


def damage(folder: Path, wanted: Manifest) -> list[str]:
    """Files of a release that are missing, other than they should be, or too many."""
    wrong = [path for path, file in wanted.files.items() if not _is_right(folder / path, file)]
    return wrong + [path for path in _files(folder) if path not in wanted.files and path != manifest.NAME]


def check(machine: ThisMachine) -> None:
    """Raises UsageError unless the running release is whole, all of it can be loaded, and it can read this machine."""
    wanted = read_manifest(machine.release)
    if wrong := damage(machine.release, wanted):
        raise UsageError(f"the release in {machine.release} is not whole: {', '.join(wrong[:5])}")
    for path in wanted.files:
        if path.startswith("machine/") and path.endswith(".py"):
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - whatever a module does when it is loaded
                raise UsageError(f"{name} cannot be loaded by this machine's Python: {error!r}") from None
    _read_disk(machine)


def _read_disk(machine: ThisMachine) -> None:
    for name, form in _ON_DISK.items():
        path = machine.path(name)
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text)
        except (OSError, ValueError):
            continue  # not there, or damaged: it is written anew, and what needs it says so
        try:
            form.from_json(text)
        except DocumentError as error:
            raise UsageError(
                f"{path} is of another release, and this one cannot read it: {error}. The release that runs stays. "
                f"Use the checkout that wrote the file, or remove it and run `pulumi up` again"
            ) from None


def _is_right(path: Path, file: manifest.ReleaseFile) -> bool:
    try:
        mode = path.lstat().st_mode
        return (
            stat.S_ISREG(mode)
            and bool(mode & stat.S_IXUSR) == file.runnable
            and hashlib.sha256(path.read_bytes()).hexdigest() == file.digest
        )
    except OSError:
        return False


def _files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield str(path.relative_to(folder))
