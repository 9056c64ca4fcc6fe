"""Things that take long to make and depend only on their inputs, kept under the user's cache.

`${XDG_CACHE_HOME:-~/.cache}/mig-k8s/<name>/<key>` is absent or complete: it is built beside its place, then renamed.
`python3 -m sandbox.cache` gives back what root has left in it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sandbox import person
from sandbox.progress import say, step

_BYTECODE_AND_TOOLS = ("pycache", "pytest", "mypy", "ruff", "hypothesis")
"""What others than `cached` keep here: Makefile names these folders."""


def root() -> Path:
    """The user's cache directory for this project; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "mig-k8s"


def location(name: str, key: str) -> Path:
    """Where `cached(name, key, …)` is, or will be."""
    return root() / name / key


def digest(*parts: str | bytes) -> str:
    """A key of 16 hexadecimal digits over all parts and their borders."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode() + data)
    return total.hexdigest()[:16]


def digest_of_files(base: Path, files: Iterable[Path]) -> str:
    """A key over the names relative to `base`, the executable bits and the contents of `files`, in any order."""
    parts: list[str | bytes] = []
    for file in sorted(files):
        parts += [f"{file.relative_to(base)} {os.access(file, os.X_OK)}", file.read_bytes()]
    return digest(*parts)


def cached(
    name: str, key: str, build: Callable[[Path], None], *, expected: str | None = None, with_owners: bool = False
) -> Path:
    """The directory that `build` fills when given an empty one; built at most once for each `key`.

    Processes that want the same thing at the same time wait for one of them. A build that fails or is killed leaves
    nothing that could be taken for a result. `expected` tells people how long it takes. `with_owners`: who owns which
    file is a part of the result; without it, all files belong to the person who typed the command.
    """
    place = location(name, key)
    if place.is_dir():
        return place
    person.make_folder(place.parent)
    with _only_one(place.with_name(f".{key}.lock"), name):
        if place.is_dir():
            return place
        for rest in place.parent.glob(f".{key}.building-*"):  # a killed build left it: we hold its lock
            remove(rest)
        draft = Path(tempfile.mkdtemp(prefix=f".{key}.building-", dir=place.parent))
        draft.chmod(0o755)
        person.give(draft)
        try:
            with step(f"building {name}", expected):
                build(draft)
            if not with_owners:
                person.give_tree(draft)
            draft.rename(place)
        except BaseException:
            remove(draft)
            raise
    return place


def give_back() -> None:
    """Let the person own what root's Python and tools have left here; see `person`."""
    if person.behind_sudo():
        person.make_folder(root())
        for name in _BYTECODE_AND_TOOLS:
            person.give_tree(root() / name)


def remove(tree: Path) -> None:
    """Remove a directory tree, also one whose directories forbid writing (as Go's and Debian's do).

    Somebody else may be removing the same one.
    """
    for folder, _, _ in os.walk(tree):
        with contextlib.suppress(FileNotFoundError):
            Path(folder).chmod(0o700)
    while tree.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(tree)


@contextlib.contextmanager
def _only_one(lock: Path, name: str) -> Iterator[None]:
    with lock.open("w") as file:  # the lock ends with the process, however that ends
        person.give(lock)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}: waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    person.take_the_place()
    give_back()
