"""The desired state: what a machine shall be, stage by stage. Nothing in it is secret."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from machine.documents.form import Document, Form
from machine.documents.layout import OnChange

PATH = "/etc/mig-k8s/desired.json"


@dataclass(frozen=True)
class Node(Form):
    """The machine's Kubernetes node."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"role"})

    name: str


@dataclass(frozen=True)
class Apt(Form):
    """Where packages of Ubuntu come from: the base URL of a mirror, None for the image's own sources."""

    ubuntu: str | None = None


@dataclass(frozen=True)
class Driver(Form):
    """NVIDIA's driver: `source` ubuntu (Canonical's signed modules) or image, `branch` such as 580. Another text of
    `update` takes the newest driver of the branch that apt has then."""

    source: Literal["ubuntu", "image"]
    branch: int
    open_kernel_modules: bool
    update: str = ""


@dataclass(frozen=True)
class FabricManager(Form):
    """NVIDIA's Fabric Manager for GPUs that NVSwitch joins: `source` and `branch` are the driver's."""

    source: Literal["ubuntu", "image"]
    branch: int


@dataclass(frozen=True)
class Toolkit(Form):
    """NVIDIA's container toolkit: the packages' version and where they come from."""

    version: str
    apt: str
    """Base URL of the repository; `#FINGERPRINT` behind it names the key of a mirror that signs itself."""
    device_list_from_environment: bool = False
    """Whether every container may name its devices in NVIDIA_VISIBLE_DEVICES, or only a privileged one."""


@dataclass(frozen=True)
class Mig(Form):
    """MIG mode by GPU index."""

    mode: tuple[bool, ...]
    on_change: OnChange = "refuse"


@dataclass(frozen=True)
class Rke2(Form):
    """RKE2. `artifacts` is the tarball's base URL (None: the release's own), `sha256` its checksum (None: the release's
    list decides), `gpu` whether its containerd must know the NVIDIA runtime, `pods_reach_metadata` whether pods may
    ask the cloud's metadata service, `image_archives` the archives that its containerd imports, each URL#SHA256 (a
    desired state that an older release wrote says of none of the three)."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"token", "install"})

    version: str
    artifacts: str | None
    sha256: str | None
    role: Literal["server", "agent"]
    cis: bool
    gpu: bool = False
    pods_reach_metadata: bool = False
    image_archives: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pods(Form):
    """What becomes of the pods here before the machine reboots for its driver. Those of `namespaces` are the cluster's
    own and hinder nothing."""

    on_change: OnChange = "refuse"
    namespaces: tuple[str, ...] = ("kube-system", "gpu-operator")


@dataclass(frozen=True)
class DesiredState(Document):
    """All of it. A section that is None: nothing to do on this machine (no GPU; no NVSwitch; its MIG is left alone)."""

    NAME: ClassVar[str] = "the desired state"

    node: Node
    apt: Apt
    driver: Driver | None
    toolkit: Toolkit | None
    mig: Mig | None
    rke2: Rke2
    fabric_manager: FabricManager | None = None
    """A desired state that an older release wrote has neither this nor the next field."""
    pods: Pods = Pods()
