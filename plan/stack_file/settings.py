"""The settings of a stack: every key a stack file may hold, with its default.

Shapes, types and checks of single values are here. Checks that need more than one value are in `rules`.
Secrets never come here.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from plan.problems import Refusal
from plan.stack_file.node_pool import MachineName, NodePool
from plan.stack_file.section import Section
from plan.stack_file.values import (
    addresses,
    images,
    locations,
    locators,
    names,
    numbers,
    releases,
    schedule,
    ssh_keys,
)

TagKey = Annotated[str, AfterValidator(names.tag_key)]
TagValue = Annotated[str, AfterValidator(names.tag_value)]
AdminNetwork = Annotated[str, AfterValidator(addresses.admin_network)]
Ipv4Network = Annotated[str, AfterValidator(addresses.ipv4_network)]
Url = Annotated[str, AfterValidator(locators.url)]
PlainText = Annotated[str, AfterValidator(locators.plain_text)]
PublicKey = Annotated[str, AfterValidator(ssh_keys.public_key)]


class Ssh(Section):
    """Who the machines let in."""

    public_key: PublicKey
    other_public_keys: tuple[PublicKey, ...] = ()
    agent_socket_path: Annotated[str, AfterValidator(locators.socket_path)] | None = None


class Mig(Section):
    """How MIG devices are advertised, who makes the instances, and what a change does to running pods."""

    strategy: Literal["none", "single", "mixed"] = "single"
    owner: Literal["host", "operator"] = "host"
    on_change: Literal["refuse", "drain"] = "refuse"


class Rollout(Section):
    """How a change goes through the machines."""

    agents_at_once: Annotated[int | str, PlainValidator(numbers.number_or_share)] = 1

    def out_of(self, agents: int) -> int:
        """How many of this number of agents may be out at once."""
        if isinstance(self.agents_at_once, int):
            return self.agents_at_once
        return max(1, agents * int(self.agents_at_once.removesuffix("%")) // 100)


class Driver(Section):
    """The NVIDIA driver of the machines."""

    source: Literal["ubuntu", "image"] = "ubuntu"
    branch: int = releases.DRIVER_BRANCH
    open_kernel_modules: bool = False
    update: PlainText = ""


class Toolkit(Section):
    """The NVIDIA container toolkit."""

    version: Annotated[str, AfterValidator(releases.toolkit_version)] = releases.TOOLKIT
    device_list_from_environment: bool = False


class Rke2(Section):
    """Kubernetes."""

    version: Annotated[str, AfterValidator(releases.rke2_version)] = releases.RKE2
    cni: Literal["calico", "canal", "cilium"] = "calico"
    ingress: Literal["none", "traefik", "ingress-nginx"] = "none"
    tls_sans: tuple[Annotated[str, AfterValidator(names.subject_name)], ...] = ()
    sha256: Annotated[str, AfterValidator(locators.sha256)] | None = None
    cis: bool = False
    config: dict[str, Any] = Field(default_factory=dict)

    @property
    def checksum(self) -> str | None:
        """The SHA-256 of the tarball; None where only the list beside it knows it."""
        return self.sha256 or releases.RKE2_TARBALLS.get(self.version)


class GpuOperator(Section):
    """The GPU Operator's Helm release."""

    version: Annotated[str, AfterValidator(releases.operator_version)] = releases.OPERATOR
    namespace: Annotated[str, AfterValidator(names.namespace)] = "gpu-operator"
    values: dict[str, Any] = Field(default_factory=dict)
    timeout_minutes: Annotated[int, AfterValidator(numbers.between(10, 120, "minutes"))] = 30


class OsDisk(Section):
    """The disk a machine boots from."""

    size_gib: Annotated[int, AfterValidator(numbers.between(64, 4095, "GiB"))] = 256
    type: Literal["Premium_LRS", "Premium_ZRS", "StandardSSD_LRS", "StandardSSD_ZRS"] = "Premium_LRS"


def _spot_price(price: float) -> float:
    if price != -1 and price <= 0:
        raise Refusal("not a price", allowed="-1 (up to the pay-as-you-go price) or US dollars per hour above 0")
    return price


class Spot(Section):
    """Spare capacity at a lower price, taken back at 30 seconds' notice."""

    max_price: Annotated[float, AfterValidator(_spot_price)] = -1
    eviction_policy: Literal["Deallocate", "Delete"]


class AutoShutdown(Section):
    """Every day at this time the machines are deallocated."""

    time: Annotated[str, AfterValidator(schedule.time_of_day)]
    time_zone: Annotated[str, AfterValidator(schedule.time_zone)] = "UTC"


class Vm(Section):
    """What all machines have in common."""

    admin_username: Annotated[str, AfterValidator(names.admin_username)] = "azureuser"
    image: Annotated[str, AfterValidator(images.image_name)] = images.DEFAULT
    os_disk: OsDisk = OsDisk()
    security_type: Literal["TrustedLaunch", "Standard"] = "TrustedLaunch"
    zone: Literal["1", "2", "3"] | None = None
    spot: Spot | None = None
    auto_shutdown: AutoShutdown | None = None
    protect: bool = False
    rebuild: PlainText = Field(default="", exclude=True)
    """A key of older versions: refused, with what to write instead."""
    tags: Annotated[dict[TagKey, TagValue], AfterValidator(names.tags)] = Field(default_factory=dict)


class Network(Section):
    """Address ranges, the public name, and what pods reach of the cloud."""

    cidr: Ipv4Network = "10.60.0.0/16"
    subnet_cidr: Ipv4Network = "10.60.0.0/24"
    pod_cidr: Ipv4Network = "10.42.0.0/16"
    service_cidr: Ipv4Network = "10.43.0.0/16"
    dns_label: Annotated[str, AfterValidator(names.dns_label)] | None = None
    pods_reach_metadata: bool = False


class Verify(Section):
    """The proof at the end: one pod per MIG device."""

    enabled: bool = True
    image: Annotated[str, AfterValidator(locators.container_image)] = (
        "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    )
    timeout_minutes: Annotated[int, AfterValidator(numbers.between(5, 120, "minutes"))] = 20


class Sources(Section):
    """Where machines and Helm get things from."""

    ubuntu_apt: Url | None = None
    toolkit_apt: Annotated[str, AfterValidator(locators.signed_repository)] = (
        "https://nvidia.github.io/libnvidia-container"
    )
    rke2_install: PlainText | None = Field(default=None, exclude=True)
    """A key of older versions: nothing runs the script any more, and a warning says so."""
    rke2_artifacts: Url | None = None
    image_archives: Annotated[
        tuple[Annotated[str, AfterValidator(locators.image_archive)], ...], AfterValidator(locators.names_once)
    ] = ()
    gpu_operator_chart: Annotated[str, AfterValidator(locators.chart)] = "https://helm.ngc.nvidia.com/nvidia"


class Settings(Section):
    """A whole stack file, without its secrets."""

    location: Annotated[str, AfterValidator(locations.location)]
    admin_cidrs: Annotated[tuple[AdminNetwork, ...], AfterValidator(numbers.filled)]
    ssh: Ssh
    mig: Mig = Mig()
    rollout: Rollout = Rollout()
    rebuild: dict[MachineName, PlainText] = Field(default_factory=dict)
    cluster_may_be_lost: bool = False
    node_pools: Annotated[tuple[NodePool, ...], AfterValidator(numbers.filled)] = (
        NodePool.model_validate({"migDevices": {"1g.10gb": 7}}),
    )
    driver: Driver = Driver()
    toolkit: Toolkit = Toolkit()
    rke2: Rke2 = Rke2()
    gpu_operator: GpuOperator = GpuOperator()
    vm: Vm = Vm()
    network: Network = Network()
    verify: Verify = Verify()
    sources: Sources = Sources()

    @property
    def machine_count(self) -> int:
        """How many machines the stack has."""
        return sum(pool.count for pool in self.node_pools)
