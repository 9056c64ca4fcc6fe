"""Who works with the sandbox: the person who typed sudo, or whoever runs the command.

sudo gives a command root's home and a PATH of its own. Cache, state, Go and Pulumi are the person's all the same, and
so is what root leaves there: without root, the person's next command reads and replaces it.

`python3 -m sandbox.person` tells make what sudo has replaced. It runs on any Python 3, as the first of all.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SUDO = "sudo"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_PLACES = ("XDG_CACHE_HOME", "XDG_STATE_HOME")
_REGISTRIES = ("GO", "PIP_")
"""How the person's Go and pip get things: through a company's proxy, perhaps."""


@dataclass(frozen=True)
class Person:
    """The person whose home this is."""

    uid: int
    gid: int
    name: str
    home: Path


def behind_sudo() -> Person | None:
    """The person who typed sudo; None without sudo, or where that was root itself."""
    number = os.environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not number.isdecimal() or int(number) == 0:
        return None
    try:
        known = pwd.getpwuid(int(number))
    except KeyError:
        return None
    home = _given_to_sudo().get("HOME") or known.pw_dir
    return Person(uid=known.pw_uid, gid=known.pw_gid, name=known.pw_name, home=Path(home))


def replaced_by_sudo() -> dict[str, str]:
    """Variables that are to be the person's. What was set behind the word sudo stays as it is."""
    person = behind_sudo()
    if person is None:
        return {}
    given = _given_to_sudo()
    kept = {
        name: value
        for name, value in given.items()
        if (name in _PLACES or name.startswith(_REGISTRIES) or name.lower() in _PROXIES) and name not in os.environ
    }
    folders = f"{given.get('PATH', '')}:{os.environ.get('PATH', os.defpath)}".split(":")
    return {**kept, "HOME": str(person.home), "PATH": ":".join(folder for folder in dict.fromkeys(folders) if folder)}


def take_the_place() -> None:
    """Let this process find everything where the person has it."""
    os.environ.update(replaced_by_sudo())


def identity() -> dict[str, Any]:
    """Arguments with which `subprocess` starts what needs no root as the person; none without sudo."""
    person = behind_sudo()
    if person is None:
        return {}
    return {"user": person.uid, "group": person.gid, "extra_groups": os.getgrouplist(person.name, person.gid)}


def command(words: str) -> str:
    """What a person types for a command that needs root."""
    return words if os.geteuid() == 0 and behind_sudo() is None else f"{_SUDO} {words}"


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make it, with this mode, and those above it that are missing, all the person's.

    Those of them that are there already in their home, made by root's Python perhaps, become theirs too.
    """
    person = behind_sudo()
    for each in (*reversed(folder.parents), folder):
        made = not each.is_dir()
        if made:
            each.mkdir(mode=mode if each == folder else 0o755, exist_ok=True)
        if made or (person and each != person.home and each.is_relative_to(person.home)):
            give(each)


def give(path: Path) -> None:
    """Make what root has made, or a link itself, the person's. Nothing happens without sudo."""
    if person := behind_sudo():
        _give(path, person)


def give_tree(tree: Path, *, but: str = "") -> None:
    """The same for all below; `but` names folders that stay as they are, such as the disks of machines."""
    if person := behind_sudo():
        for path in _below(tree, but):
            _give(path, person)


def _give(path: Path, person: Person) -> None:
    with contextlib.suppress(FileNotFoundError):  # gone meanwhile
        if path.lstat().st_uid == 0:
            os.chown(path, person.uid, person.gid, follow_symlinks=False)


def _below(tree: Path, but: str) -> Iterator[Path]:
    """The tree and what is in it."""
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name != but]
        yield Path(folder)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in (*files, *links))


def _given_to_sudo() -> dict[str, str]:
    """The environment that sudo itself was started with; empty where it cannot be seen.

    sudo waits for what it has started, and root may look into it.
    """
    pid = os.getpid()
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
            if status[status.index("(") + 1 : status.rindex(")")] == _SUDO:
                entries = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes()).split("\0")
                return dict(entry.split("=", 1) for entry in entries if "=" in entry)
        except OSError:
            break
        pid = int(status.rpartition(")")[2].split()[1])
    return {}


if __name__ == "__main__":
    for variable, value in replaced_by_sudo().items():
        if not value.split()[1:]:  # make takes words apart at blanks
            print(f"{variable}={value.replace('$', '$$')}")
