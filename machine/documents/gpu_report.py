"""The report of a change of layout: what became of each GPU."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from machine.documents.form import Document, Form

Outcome = Literal["unchanged", "changed", "planned", "pending", "refused", "failed"]
"""`planned`: only asked what would be done. `pending`: a reboot is next."""


@dataclass(frozen=True)
class SeenInstance(Form):
    """A GPU instance as the GPU has it at the end, with the UUIDs of its MIG devices."""

    id: int
    profile: str
    start: int
    uuids: tuple[str, ...]


@dataclass(frozen=True)
class GpuOutcome(Form):
    """One GPU. `kept`, `removed` and `created` are places such as `3g.40gb at 4`, `commands` what was or would be run,
    `pods` those that hold what has to go, such as `work/notebook (1g.10gb at 5)`.

    `mode` None: it was not read. `restored` None: there was nothing to restore; False: it could not be.
    """

    index: int
    outcome: Outcome
    reason: str
    mode: bool | None
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    created: tuple[str, ...]
    restored: bool | None
    commands: tuple[str, ...]
    instances: tuple[SeenInstance, ...]
    pods: tuple[str, ...] = ()


@dataclass(frozen=True)
class GpuReport(Document):
    """All GPUs. `applied`: they are as the layout says, `changed`: something had to be done, `warnings`: nvidia-smi's
    lines beside its answers, each once."""

    NAME: ClassVar[str] = "the report of the GPUs"

    applied: bool
    changed: bool
    gpus: tuple[GpuOutcome, ...]
    warnings: tuple[str, ...] = ()
