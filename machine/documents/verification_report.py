"""The report of a verification: each check with what was expected and seen, and the devices that pods saw."""

from dataclasses import dataclass
from typing import ClassVar

from machine.documents.form import Document, Form


@dataclass(frozen=True)
class Check(Form):
    """One check. `node` is empty for one of the whole cluster, `remedy` for one that passed."""

    name: str
    node: str
    expected: str
    seen: str
    remedy: str
    passed: bool

    @classmethod
    def of(cls, name: str, node: str, expected: str, seen: str, remedy: str = "") -> "Check":
        """A check that passed if what was seen is what was expected; only one that failed has a remedy."""
        passed = seen == expected
        return cls(name, node, expected, seen, "" if passed else remedy, passed)


@dataclass(frozen=True)
class SeenDevice(Form):
    """A device as a pod saw it: UUIDs of the device and of its GPU; None when the pod saw none."""

    node: str
    pod: str
    profile: str | None
    uuid: str | None
    gpu: str | None


@dataclass(frozen=True)
class VerificationReport(Document):
    """`started` is UTC, `warnings` are nvidia-smi's beside its answers, on this machine and in pods, each once."""

    NAME: ClassVar[str] = "the verification's report"

    passed: bool
    started: str
    seconds: float
    checks: tuple[Check, ...]
    devices: tuple[SeenDevice, ...]
    warnings: tuple[str, ...] = ()
