"""The way of a machine: its boot, cloud-init, its stages, its reboot, by its own records."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from machine.documents.result import Result
from scripts.timeline.span import Span

CLOUD_INIT = "/var/log/cloud-init-output.log"
"""Its log on a machine."""
BOOT, REBOOT = "boot", "reboot"
_FIRST_STAGE = "apt"
"""It begins by waiting for cloud-init, which has started it."""


def way(machine: str, asked: datetime, cloud_init: str, result: Result) -> list[Span]:
    """What it did, in its order; stages beside others overlap them.

    `asked`: when the cloud was asked for it; `cloud_init`: its output log; `result`: its result file, which keeps of
    each stage the last run that did something.
    """
    spans: list[Span] = []

    def add(name: str, begins: datetime, ends: datetime) -> None:
        spans.append(Span(lane=machine, name=name, begins=begins, ends=ends))

    begun = asked
    for name, word in ((BOOT, "running '[a-z:-]+'"), ("cloud-init", "finished")):
        if found := re.search(rf"^Cloud-init v\. .* {word} at (.*?\+0000)", cloud_init, re.MULTILINE):
            moment = parsedate_to_datetime(found[1])
            add(name, begun, moment)
            begun = moment
    this_boot = [_utc(stage.started) for stage in result.stages if stage.boot_id == result.boot_id]
    for stage in result.stages:
        worked = stage.worked
        if worked is None:
            continue
        began = _utc(worked.started)
        ended = began + timedelta(seconds=worked.seconds)
        add(stage.name, max(began, begun) if stage.name == _FIRST_STAGE else began, ended)
        if worked.outcome == REBOOT and worked.boot_id != result.boot_id:
            add(REBOOT, ended, min(this_boot))
    return spans


def _utc(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
