"""The result: how far a machine is on its way to the desired state, stage by stage. Times are UTC."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from machine.documents.form import Document, Form

PATH = "/var/lib/mig-k8s/result.json"

Outcome = Literal["running", "done", "unchanged", "skipped", "failed", "reboot"]
SETTLED: tuple[Outcome, ...] = ("done", "unchanged", "skipped")


@dataclass(frozen=True)
class Work(Form):
    """The last run of a stage that did something."""

    started: str
    ended: str
    seconds: float
    outcome: Outcome
    boot_id: str


@dataclass(frozen=True)
class StageResult(Form):
    """What became of a stage. `inputs` is the digest of all that decided what it did; empty: it has to look again."""

    name: str
    inputs: str
    started: str
    ended: str | None
    outcome: Outcome
    reason: str
    boot_id: str
    seconds: float = 0.0
    worked: Work | None = None


@dataclass(frozen=True)
class Reboot(Form):
    """A reboot that a stage asked for: for which inputs, in which boot. The same one is not tried twice."""

    wanted: str
    boot_id: str


@dataclass(frozen=True)
class Result(Document):
    """`reboots` by the name of the stage."""

    NAME: ClassVar[str] = "the result"

    boot_id: str = ""
    state: Literal["starting", "running", "done", "failed", "reboot"] = "starting"
    stages: tuple[StageResult, ...] = ()
    reboots: dict[str, Reboot] | None = None
