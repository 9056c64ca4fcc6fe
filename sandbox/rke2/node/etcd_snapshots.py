"""`rke2 etcd-snapshot`: the running server saves its etcd to a file, lists, prunes or deletes the files."""

import argparse
import re
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from . import configuration, etcd, paths
from .error import Rke2Error
from .join_token import JoinToken
from .supervisor import PORT
from .upstream import Upstream, UpstreamError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_URL = f"https://127.0.0.1:{PORT}"
_KEPT = 5
"""RKE2's own default of --snapshot-retention."""


def add_parser(commands: "Subparsers") -> None:
    """The subcommands save, ls, prune and delete; each sets `run`, which raises Rke2Error."""
    subcommands = commands.add_parser("etcd-snapshot").add_subparsers(required=True)
    for name, run in (("save", _save), ("ls", _list), ("prune", _prune)):
        command = subcommands.add_parser(name)
        command.add_argument("--name", default="on-demand")
        command.set_defaults(run=run)
        if name == "prune":
            command.add_argument("--snapshot-retention", type=int, default=_KEPT)
    command = subcommands.add_parser("delete")
    command.add_argument("names", nargs="+")
    command.set_defaults(run=_delete)


def _save(chosen: argparse.Namespace) -> None:
    _ask_the_server()
    node = configuration.read(paths.CONFIGURATION).node_name
    paths.SNAPSHOTS.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = paths.SNAPSHOTS / f"{chosen.name}-{node}-{int(time.time())}"
    try:
        paths.write(file, etcd.snapshot())
    except OSError as error:
        raise Rke2Error(f"Failed to take etcd snapshot: {error}") from None
    print(f"Snapshot {file.name} saved.")


def _list(_: argparse.Namespace) -> None:
    _ask_the_server()
    print("Name Location Size Created")
    for file in _snapshots(""):
        stat = file.stat()
        print(
            file.name, f"file://{file}", stat.st_size, datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat()
        )


def _prune(chosen: argparse.Namespace) -> None:
    _ask_the_server()
    for file in _snapshots(chosen.name)[: -chosen.snapshot_retention or None]:
        file.unlink()
        print(f"Snapshot {file.name} deleted.")


def _delete(chosen: argparse.Namespace) -> None:
    _ask_the_server()
    for name in chosen.names:
        if not (paths.SNAPSHOTS / name).is_file():
            raise Rke2Error(f"see server log for details: snapshot {name} not found")
        (paths.SNAPSHOTS / name).unlink()
        print(f"Snapshot {name} deleted.")


def _snapshots(prefix: str) -> list[Path]:
    """The snapshots whose names begin so, by the time in their names."""
    found = [path for path in paths.SNAPSHOTS.glob("*") if path.name.startswith(prefix)]
    return sorted(found, key=lambda path: int(re.sub(r".*-", "", path.name)))


def _ask_the_server() -> None:
    """All of it is done by the running server. Raises Rke2Error where there is none, as on an agent."""
    if not paths.TOKEN.exists():
        raise Rke2Error(f"open {paths.TOKEN}: no such file or directory")
    try:
        Upstream.find(_URL, "server", JoinToken.parse(paths.TOKEN.read_text().strip()))
    except UpstreamError as error:
        raise Rke2Error(f"see server log for details: {error}") from None
