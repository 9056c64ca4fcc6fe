"""The result file on a machine: reading, writing, and what it means for the stages."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace

from machine.converge.stages import Stage
from machine.documents import result as document
from machine.documents.form import DocumentError
from machine.documents.result import SETTLED, Outcome, Result, StageResult, Work
from machine.host import files
from machine.host.this_machine import ThisMachine


def read(machine: ThisMachine) -> Result:
    """What is on disk; an empty result when there is none, it was torn by a power cut, or another release wrote it."""
    with contextlib.suppress(OSError, UnicodeDecodeError, DocumentError):
        return Result.from_json(machine.path(document.PATH).read_text(encoding="utf-8"))
    return Result()


def write(machine: ThisMachine, result: Result) -> None:
    """Replace the file in one step. Raises DiskError."""
    files.write(machine.path(document.PATH), result.to_json(), 0o600)


def with_stage(result: Result, record: StageResult) -> Result:
    """The result with this record in the place of the stage's last one, or at its end."""
    if result.of(record.name) is None:
        return replace(result, stages=(*result.stages, record))
    return replace(result, stages=tuple(record if each.name == record.name else each for each in result.stages))


def ended(record: StageResult, outcome: Outcome, reason: str, now: str, seconds: float) -> StageResult:
    """The record of a stage whose run is over."""
    record = replace(record, outcome=outcome, reason=reason, ended=now, seconds=round(seconds, 1))
    if outcome in ("done", "reboot"):
        work = Work(record.started, now, record.seconds, outcome, record.boot_id)
        record = replace(record, worked=work)
    return record


def with_end(result: Result, record: StageResult) -> Result:
    """The result with a stage that has ended. A stage that reached its state may ask for its reboot again later."""
    if record.outcome in SETTLED:
        result = replace(result, reboots={name: each for name, each in result.reboots.items() if name != record.name})
    return with_stage(result, record)


def left(result: Result, wanted: Iterable[Stage], boot_id: str) -> list[Stage]:
    """The stages that have yet to run: changed, failed, or not looked at since the machine booted."""
    return [stage for stage in wanted if not _is_settled(result.of(stage.name), stage, boot_id)]


def is_outdated(result: Result, wanted: Iterable[Stage]) -> bool:
    """Whether something is wanted that the ended run did not know of; "" is the input of what has to look again."""
    records = [(stage, result.of(stage.name)) for stage in wanted]
    return any(record is None or record.inputs not in ("", stage.inputs()) for stage, record in records)


def is_rebooting(result: Result, boot_id: str) -> bool:
    """Whether the machine is about to go down. After the boot the same record means nothing any more."""
    return result.state == "reboot" and result.boot_id == boot_id


def _is_settled(record: StageResult | None, stage: Stage, boot_id: str) -> bool:
    if record is None or record.outcome not in SETTLED:
        return False
    return record.boot_id == boot_id and record.inputs == stage.inputs()
