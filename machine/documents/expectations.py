"""The expectations: what the cluster must show when everything is right. Written by the plan, proven by the machine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from machine.documents.form import Document, Form

PATH = "/etc/mig-k8s/expectations.json"
"""Where releases before ADR 0035 kept those of the last verification, on the machine where it ran."""


@dataclass(frozen=True)
class ExpectedDevice(Form):
    """A device that one pod must get: a MIG device of `profile`, or a whole GPU (None)."""

    pod: str
    resource: str
    profile: str | None
    compute: bool = True
    """Whether CUDA can run on it: a GPU in MIG mode without instances is visible but computes nothing."""
    replicas: int = 1
    """How many pods share it by time-slicing; each of them is an expected device of its own."""


@dataclass(frozen=True)
class Away(Form):
    """A machine on which nothing can be run: what is seen of it, such as `deallocated`, and what to do about it."""

    seen: str
    remedy: str


@dataclass(frozen=True)
class ExpectedNode(Form):
    """What the API server must say of one node: its resources of NVIDIA's with their counts, and no others; labels.

    Of one whose machine is away nothing else is expected than that it runs.
    """

    RETIRED: ClassVar[frozenset[str]] = frozenset({"absent"})

    name: str
    allocatable: dict[str, int]
    labels: dict[str, str]
    devices: tuple[ExpectedDevice, ...]
    away: Away | None = None


@dataclass(frozen=True)
class Expectations(Document):
    """The whole cluster. `image` is that of the pods, `namespace` where they run, `operator_namespace` the GPU
    Operator's, which remedies name."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"strategy"})
    NAME: ClassVar[str] = "the document of expectations"

    image: str
    timeout_seconds: float
    namespace: str
    nodes: tuple[ExpectedNode, ...]
    operator_namespace: str = "gpu-operator"
    rke2_version: str = ""
    """What kubelets and API servers are to be of. Expectations that an older release wrote do not say."""
    device_list_from_environment: bool = False
    """Whether a pod that requests nothing gets every device of its node by saying NVIDIA_VISIBLE_DEVICES=all."""

    def while_away(self, away: Mapping[str, Away | None]) -> "Expectations":
        """The same while these machines are away, by their names; one that is not named, or None, runs."""
        return replace(self, nodes=tuple(replace(node, away=away.get(node.name)) for node in self.nodes))
