"""A machine of the cluster, decided: what is bought, what it becomes, what its GPUs are."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from machine.documents import layout as document
from plan.gpu.layout import Layout
from plan.stack_file.settings import Driver, Network, Rke2, Sources, Toolkit


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePlan:
    """An image by the name in the stack file, and as Azure is told of it: field → value."""

    name: str
    reference: dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpotPlan:
    """Spot capacity: US dollars per hour (-1 = up to the pay-as-you-go price) and what an eviction does."""

    max_price: float
    eviction_policy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoShutdownPlan:
    """Daily deallocation: HHMM and a Windows time-zone id."""

    time: str
    time_zone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VmPlan:
    """The virtual machine itself."""

    size: str
    image: ImagePlan
    admin_username: str
    public_key: str
    """The key by which this program logs in as the administrator."""
    other_public_keys: tuple[str, ...]
    """The other keys that the machine lets in."""
    agent_socket_path: str | None
    """The socket of the SSH agent with the private half of `public_key`; None: that half is given as a secret."""
    os_disk_gib: int
    os_disk_type: str
    security_type: str
    zone: str | None
    spot: SpotPlan | None
    auto_shutdown: AutoShutdownPlan | None
    rebuild: str
    """Another text makes the machine anew."""
    tags: dict[str, str]

    @property
    def public_keys(self) -> tuple[str, ...]:
        """All public keys that the machine lets in."""
        return (self.public_key, *self.other_public_keys)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePlan:
    """One machine. `name` is at once resource name, computer name and Kubernetes node name."""

    name: str
    pool: str
    """The name of its pool."""
    role: Literal["server", "agent"]
    vm: VmPlan
    labels: dict[str, str]
    taints: tuple[str, ...]
    layout: Layout | None
    """What its GPUs shall be; None without a GPU."""
    mig_owner: Literal["host", "operator"] | None
    """Who makes the instances of the layout: the host or MIG Manager; None without a GPU."""
    on_change: Literal["refuse", "drain"]
    """What becomes of pods that a change of this machine would end."""
    own_namespaces: tuple[str, ...]
    """The namespaces whose pods are the cluster's own: these may always be ended."""
    driver: Driver | None
    """None without a GPU, as with the toolkit."""
    toolkit: Toolkit | None
    rke2: Rke2
    network: Network
    sources: Sources
    dns_label: str | None

    @property
    def mig_config(self) -> str | None:
        """The label the node registers with, whatever its pool's layout is; None where the host makes the instances.

        It never changes, and with it neither does config.yaml. `mig_manager.layout_name` is the layout's own name.
        """
        if self.mig_owner != "operator":
            return None
        name = f"mig-k8s-{self.pool}"
        # A label holds 63 characters, and two long names may differ in their last one.
        return name if len(name) <= 63 else f"{name[:54]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def layout_document(node: NodePlan) -> document.Layout:
    """What a machine is told of its layout: its places, and what becomes of pods that hold what must go.

    It is an error to ask for it where there is no GPU.
    """
    if node.layout is None:
        raise ValueError(f"{node.name} has no GPU and so no layout")
    return node.layout.for_machine(node.on_change)
