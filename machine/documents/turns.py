"""The turns of agents: how many may be out at once, who is, and who was stopped. It lies in the cluster."""

from dataclasses import dataclass, field
from typing import ClassVar

from machine.documents.form import Document, Form


@dataclass(frozen=True)
class Turn(Form):
    """An agent that is out, from before its first disruptive step until its node is well again."""

    why: str
    """What is done there, such as `RKE2 restarts`."""
    since: str
    """UTC."""
    cordoned: bool
    """Whether it is cordoned for this: somebody may have done so before, and then it stays so."""
    failed: str = ""
    """What went wrong, where the agent could not be brought back: it counts as out until it is."""
    beats: int = 0
    """Grows every minute while somebody is at work there."""


@dataclass(frozen=True)
class Turns(Document):
    """`failures` counts those of turns, so that whoever waits sees that there was one; `last_failure` has its words."""

    NAME: ClassVar[str] = "the record of turns"

    agents_at_once: int
    turns: dict[str, Turn] = field(default_factory=dict)
    """The turns by the names of agents."""
    failures: int = 0
    last_failure: str = ""


@dataclass(frozen=True)
class Limit(Document):
    """How many agents may be out at once."""

    NAME: ClassVar[str] = "the limit of turns"

    agents_at_once: int

    def __post_init__(self) -> None:
        if self.agents_at_once < 1:
            raise ValueError("agentsAtOnce: at least 1 is expected")
