"""The report of a verification: each check with what was expected and seen, and how each device was proven."""

from collections import Counter
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


BY_A_POD = "proven by a pod"
"""Every other proof is `in use by NAMESPACE/POD`, which says that the kubelet's record is the proof."""


@dataclass(frozen=True)
class ProvenDevice(Form):
    """A device and the pod that has it: the verification's own, which saw it, or one of a user's, as NAMESPACE/POD.

    UUIDs of the device and of its GPU are None when the pod saw none, or when the machine does not list it.
    """

    node: str
    pod: str
    profile: str | None
    uuid: str | None
    gpu: str | None
    resource: str = ""
    proof: str = BY_A_POD

    @property
    def kind(self) -> tuple[str, str]:
        """The resource of its node of which it is one."""
        return self.node, self.resource


@dataclass(frozen=True)
class VerificationReport(Document):
    """`started` is UTC, `warnings` are nvidia-smi's beside its answers, on this machine and in pods, each once.

    `ending` is a sentence on each certificate of a node that has ended or soon will, `snapshot` one on the newest
    snapshot of the datastore that RKE2 saved by itself, `overdue` one where that is older than it may be.
    """

    NAME: ClassVar[str] = "the verification's report"

    passed: bool
    started: str
    seconds: float
    checks: tuple[Check, ...]
    devices: tuple[ProvenDevice, ...]
    warnings: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()
    snapshot: str = ""
    overdue: str = ""

    def notes(self) -> list[str]:
        """What people are told besides, whatever the verdict."""
        lines = [f"nvidia-smi warns: {warning}" for warning in self.warnings]
        lines += [f"WARNING: {sentence}" for sentence in (*self.ending, self.overdue) if sentence]
        return lines if self.overdue or not self.snapshot else [*lines, self.snapshot]

    def proofs(self) -> list[str]:
        """How the devices were proven, a line for each proof on a node; nothing where a check failed."""
        found: dict[tuple[str, str], dict[str | None, str]] = {}
        for device in self.devices if self.passed else ():
            found.setdefault((device.node, device.proof), {})[device.uuid] = device.profile or "whole GPU"
        return [
            f"{node}: {', '.join(f'{n} × {kind}' for kind, n in Counter(kinds.values()).items())}: {proof}"
            for (node, proof), kinds in found.items()
        ]
