"""The result: how far a machine is on its way to the desired state, stage by stage. Times are UTC."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from machine.documents.form import Document, Form

PATH = "/var/lib/mig-k8s/result.json"

Outcome = Literal["running", "done", "unchanged", "skipped", "failed", "reboot", "turn"]
"""`turn`: it would be disruptive and waits for the machine's turn."""
SETTLED: tuple[Outcome, ...] = ("done", "unchanged", "skipped")


@dataclass(frozen=True)
class Work(Form):
    """The last run of a stage that did something. Its times are those of that run."""

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
    """A reboot that a stage asked for. The same one is not tried twice."""

    wanted: str
    """Digest of what was asked of the stage."""
    boot_id: str
    """The boot in which it asked."""


@dataclass(frozen=True)
class Result(Document):
    """`reboots` by the name of the stage."""

    NAME: ClassVar[str] = "the result"

    boot_id: str = ""
    state: Literal["starting", "running", "done", "failed", "reboot"] = "starting"
    stages: tuple[StageResult, ...] = ()
    reboots: dict[str, Reboot] = field(default_factory=dict)

    def of(self, stage: str) -> StageResult | None:
        """What became of the stage of this name; None before it has run."""
        return next((each for each in self.stages if each.name == stage), None)
