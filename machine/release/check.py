"""Whether a release can be trusted with this machine: whole, startable, and able to read what lies on its disk."""

import importlib
import json
import stat
from pathlib import Path

from machine.documents import desired_state, expectations, layout
from machine.documents.desired_state import DesiredState
from machine.documents.expectations import Expectations
from machine.documents.form import Document, DocumentError
from machine.documents.layout import Layout
from machine.documents.manifest import FILE, Manifest, files_digest
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
        return Manifest.from_json((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        raise UsageError(f"the release in {folder} is not whole: {error}") from None


def is_whole(folder: Path) -> bool:
    """Whether all files of a release are there, as they should be, and no others."""
    try:
        return read_manifest(folder).digest == _digest(folder)
    except (OSError, UsageError):
        return False


def check(machine: ThisMachine) -> None:
    """Check that the running release is whole, can be loaded, and can read this machine's files. Raises UsageError."""
    wanted, seen = read_manifest(machine.release).digest, _digest(machine.release)
    if seen != wanted:
        raise UsageError(f"the release in {machine.release} is not whole: its files are {seen[:16]}, not {wanted[:16]}")
    for path in files_of(machine.release):
        if path.startswith("machine/") and path.endswith(".py"):
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - whatever a module does when it is loaded
                raise UsageError(f"{name} cannot be loaded by this machine's Python: {error!r}") from None
    _read_disk(machine)


def files_of(folder: Path) -> list[str]:
    """Paths of a release's files."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


def _digest(folder: Path) -> str:
    return files_digest(
        (path, bool((folder / path).lstat().st_mode & stat.S_IXUSR), (folder / path).read_bytes())
        for path in files_of(folder)
        if path != FILE
    )


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
