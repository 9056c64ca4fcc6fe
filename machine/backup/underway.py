"""The restore that is under way on this server, so that the next run continues one that was cut off."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from machine.documents.backup import Backup
from machine.documents.form import Document, DocumentError
from machine.host import files
from machine.host.console import say
from machine.host.this_machine import ThisMachine

PATH = "/var/lib/mig-k8s/restore.json"
_LONGEST_HOURS = 24
"""After this time a run with the same backup restores it once more."""


@dataclass(frozen=True)
class Underway(Document):
    """`restore` is its own name, by which other machines know whether they have left their cluster for it;
    `is_replaced`: the datastore here is the snapshot's."""

    NAME: ClassVar[str] = "the restore that is under way"

    restore: str
    sha256: str
    begun: str
    is_replaced: bool = False

    def keep(self, machine: ThisMachine) -> None:
        """Write the record of this restore. Raises DiskError."""
        files.write(machine.path(PATH), self.to_json(), 0o600)


def begin(machine: ThisMachine, backup: Backup) -> Underway:
    """Continue the restore of this backup that is under way, or begin another one."""
    found = _read(machine)
    now = machine.clock.utc()
    if found and found.sha256 == backup.sha256 and _hours(found.begun, now) < _LONGEST_HOURS:
        if found.is_replaced:
            say(f"goes on with the restore of {found.begun}: the datastore is that of the backup already")
        return found
    another = Underway(secrets.token_hex(4), backup.sha256, now)
    another.keep(machine)
    return another


def end(machine: ThisMachine) -> None:
    """Note that no restore is under way any more."""
    machine.path(PATH).unlink(missing_ok=True)


def _read(machine: ThisMachine) -> Underway | None:
    try:
        return Underway.from_json(machine.path(PATH).read_text(encoding="utf-8"))
    except (OSError, DocumentError):
        return None


def _hours(begun: str, now: str) -> float:
    earlier, later = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (begun, now))
    return (later - earlier).total_seconds() / 3600
