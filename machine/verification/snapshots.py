"""How old the newest snapshot is that RKE2 saved by itself on this server, and whether that is older than it may be."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from machine.backup import rke2
from machine.documents.configuration import RKE2_CONFIG_PATH
from machine.host.this_machine import ThisMachine

_DEFAULT_NAME = "etcd-snapshot"
LATE = timedelta(hours=13)
"""RKE2 saves one at 00:00 and at 12:00."""
_SETTING = re.compile(
    r"^etcd-(disable-snapshots|snapshot-name|snapshot-schedule-cron): *[\"']?([^\"'\n]+)", re.MULTILINE
)


def newest(machine: ThisMachine) -> tuple[str, str]:
    """A sentence on its age, and a warning, each empty where there is nothing to say.

    There is a warning only where RKE2 has run for as long as a snapshot may be old, so not of a cluster that is young
    or was away; and not where the stack has a schedule of its own.
    """
    path = machine.path(RKE2_CONFIG_PATH)
    settings = dict(_SETTING.findall(path.read_text(encoding="utf-8"))) if path.exists() else {}
    if settings.get("disable-snapshots", "").strip() == "true":
        return "RKE2 saves no snapshots by itself (etcd-disable-snapshots)", ""
    now = datetime.fromisoformat(machine.clock.utc().replace("Z", "+00:00"))
    saved = max(_times(machine, settings.get("snapshot-name", _DEFAULT_NAME).strip()), default=None)
    said = f"the newest snapshot that RKE2 saved by itself is {_hours(now - saved)} old" if saved else ""
    runs = _runs_for(machine)
    if "snapshot-schedule-cron" in settings or runs < LATE or (saved and now - saved < LATE):
        return said, ""
    seen = said or "RKE2 has saved no snapshot by itself"
    return said, (
        f"{seen}, though it has run for {_hours(runs)} and saves one every twelve. Is there room in"
        f" {rke2.snapshots(machine)}? `journalctl -u {rke2.SERVER}` tells why; `make backup` saves one now"
    )


def _times(machine: ThisMachine, name: str) -> Iterator[datetime]:
    for path in rke2.snapshots(machine).glob(f"{name}-*"):
        if found := re.search(r"-(\d+)(\.zip)?$", path.name):
            yield datetime.fromtimestamp(int(found[1]), timezone.utc)


def _runs_for(machine: ThisMachine) -> timedelta:
    """How long RKE2 has run without a restart; no time at all where that cannot be told."""
    shown = machine.systemctl("show", "--property=ActiveEnterTimestampMonotonic", "--value", rke2.SERVER, seconds=60)
    since, uptime = shown.stdout.strip(), machine.path("/proc/uptime")
    if not since.isdecimal() or since == "0" or not uptime.exists():
        return timedelta()
    return timedelta(seconds=float(uptime.read_text(encoding="ascii").split()[0]) - int(since) / 1e6)


def _hours(time: timedelta) -> str:
    return f"{time.total_seconds() / 3600:.0f} h"
