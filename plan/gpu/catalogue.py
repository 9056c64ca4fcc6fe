"""GPU models, their MIG profiles and the Azure sizes that carry them: the only place that knows them.

Numbers are NVIDIA's (MIG User Guide v580, `nvidia-smi mig -lgip` and `-lgipp`; Hopper tables captured on real GPUs) and
Azure's size pages. Profile ids are for `show` and for reading tables only: the machine asks its own GPU for them.
"""

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A GPU instance profile of one GPU model."""

    name: str
    id: int
    compute_slices: int
    memory_slices: int
    starts: tuple[int, ...]
    """Memory slots at which an instance of this profile may begin."""
    maximum: int
    multiprocessors: int

    @property
    def has_media_extensions(self) -> bool:
        """Whether it takes the media engines, which a GPU gives to one instance only."""
        return self.name.endswith("+me")

    @property
    def resource(self) -> str:
        """The Kubernetes resource under the mixed strategy."""
        return f"nvidia.com/mig-{self.label}"

    @property
    def label(self) -> str:
        """The name as labels and resources spell it: `+` is no legal character there."""
        return self.name.replace("+", ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuModel:
    """A GPU that can be divided: slots, limits and profiles, largest profile first."""

    name: str
    title: str
    memory_slots: int
    compute_slices: int
    minimum_driver: int
    mode_needs_reboot: bool
    """Ampere changes its MIG mode on a reset, which in a virtual machine means a reboot; Hopper changes at once."""
    profiles: tuple[Profile, ...]

    def profile(self, name: str) -> Profile | None:
        """The profile of this name, or None when this GPU has none."""
        return next((profile for profile in self.profiles if profile.name == name), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class VmSize:
    """An Azure VM size."""

    name: str
    vcpus: int
    gpu: GpuModel | None
    gpu_count: int = 0
    product: str | None = None
    """`nvidia.com/gpu.product` without MIG suffix, where a fact gives it; None = not asserted."""
    trusted_launch: bool = True


_EIGHT_SLOTS = (
    # id, compute, memory, starts, maximum, media extensions
    (0, 7, 8, (0,), 1, ""),
    (5, 4, 4, (0,), 1, ""),
    (9, 3, 4, (0, 4), 2, ""),
    (14, 2, 2, (0, 2, 4), 3, ""),
    (15, 1, 2, (0, 2, 4, 6), 4, ""),
    (19, 1, 1, (0, 1, 2, 3, 4, 5, 6), 7, ""),
    (20, 1, 1, (0, 1, 2, 3, 4, 5, 6), 1, "+me"),
)
_A30_SLOTS = (
    (0, 4, 4, (0,), 1, ""),
    (5, 2, 2, (0, 2), 2, ""),
    (6, 2, 2, (0, 2), 1, "+me"),
    (14, 1, 1, (0, 1, 2, 3), 4, ""),
    (21, 1, 1, (0, 1, 2, 3), 1, "+me"),
)
_AMPERE_SM = {(7, 8): 98, (4, 4): 56, (3, 4): 42, (2, 2): 28, (1, 2): 14, (1, 1): 14}
_HOPPER_SM = {(7, 8): 132, (4, 4): 64, (3, 4): 60, (2, 2): 32, (1, 2): 26, (1, 1): 16}


def _profiles(
    rows: tuple[tuple[int, int, int, tuple[int, ...], int, str], ...],
    gib: dict[int, int],
    multiprocessors: dict[tuple[int, int], int],
) -> tuple[Profile, ...]:
    """Profiles of a model: `gib` gives the memory in the name per number of memory slices."""
    return tuple(
        Profile(
            name=f"{compute}g.{gib[memory]}gb{suffix}",
            id=number,
            compute_slices=compute,
            memory_slices=memory,
            starts=starts,
            maximum=maximum,
            multiprocessors=multiprocessors[compute, memory],
        )
        for number, compute, memory, starts, maximum, suffix in rows
    )


def _ampere(name: str, title: str, gib: dict[int, int]) -> GpuModel:
    return GpuModel(
        name=name,
        title=title,
        memory_slots=8,
        compute_slices=7,
        minimum_driver=450,
        mode_needs_reboot=True,
        profiles=_profiles(_EIGHT_SLOTS, gib, _AMPERE_SM),
    )


def _hopper(name: str, title: str, gib: dict[int, int], minimum_driver: int) -> GpuModel:
    return GpuModel(
        name=name,
        title=title,
        memory_slots=8,
        compute_slices=7,
        minimum_driver=minimum_driver,
        mode_needs_reboot=False,
        profiles=_profiles(_EIGHT_SLOTS, gib, _HOPPER_SM),
    )


@cache
def gpu_models() -> dict[str, GpuModel]:
    """Every GPU model by name."""
    a30 = GpuModel(
        name="A30-24GB",
        title="NVIDIA A30 24 GB",
        memory_slots=4,
        compute_slices=4,
        minimum_driver=460,
        mode_needs_reboot=True,
        profiles=_profiles(_A30_SLOTS, {1: 6, 2: 12, 4: 24}, {(4, 4): 56, (2, 2): 28, (1, 1): 14}),
    )
    models = (
        _ampere("A100-40GB", "NVIDIA A100 40 GB", {1: 5, 2: 10, 4: 20, 8: 40}),
        _ampere("A100-80GB", "NVIDIA A100 80 GB", {1: 10, 2: 20, 4: 40, 8: 80}),
        a30,
        _hopper("H100-80GB", "NVIDIA H100 80 GB", {1: 10, 2: 20, 4: 40, 8: 80}, 525),
        _hopper("H100-NVL-94GB", "NVIDIA H100 NVL 94 GB", {1: 12, 2: 24, 4: 47, 8: 94}, 525),
        _hopper("H200-141GB", "NVIDIA H200 141 GB", {1: 18, 2: 35, 4: 71, 8: 141}, 550),
    )
    return {model.name: model for model in models}


@cache
def vm_sizes() -> dict[str, VmSize]:
    """Every Azure size this program knows, by name.

    An A30 is sold by no Azure size; its model is kept because its profile ids clash with the others'.
    """
    models = gpu_models()
    a100, a100_40, nvl = models["A100-80GB"], models["A100-40GB"], models["H100-NVL-94GB"]
    h100, h200 = models["H100-80GB"], models["H200-141GB"]
    pcie = "NVIDIA-A100-80GB-PCIe"
    sizes = (
        VmSize(name="Standard_NC24ads_A100_v4", vcpus=24, gpu=a100, gpu_count=1, product=pcie),
        VmSize(name="Standard_NC48ads_A100_v4", vcpus=48, gpu=a100, gpu_count=2, product=pcie),
        VmSize(name="Standard_NC96ads_A100_v4", vcpus=96, gpu=a100, gpu_count=4, product=pcie),
        VmSize(name="Standard_NC40ads_H100_v5", vcpus=40, gpu=nvl, gpu_count=1),
        VmSize(name="Standard_NC80adis_H100_v5", vcpus=80, gpu=nvl, gpu_count=2),
        VmSize(name="Standard_ND96asr_v4", vcpus=96, gpu=a100_40, gpu_count=8, trusted_launch=False),
        VmSize(name="Standard_ND96amsr_A100_v4", vcpus=96, gpu=a100, gpu_count=8, trusted_launch=False),
        VmSize(name="Standard_ND96isr_H100_v5", vcpus=96, gpu=h100, gpu_count=8, product="NVIDIA-H100-80GB-HBM3"),
        VmSize(name="Standard_ND96isr_H200_v5", vcpus=96, gpu=h200, gpu_count=8, product="NVIDIA-H200"),
        *_without_gpu(),
    )
    return {size.name: size for size in sizes}


def _without_gpu() -> tuple[VmSize, ...]:
    """General purpose (D), memory (E) and compute (F) sizes with premium storage, Intel and AMD: 2 to 96 vCPUs."""
    families = {
        "D": ("s_v5", "as_v5", "ds_v5", "s_v6", "as_v6"),
        "E": ("s_v5", "as_v5", "ds_v5", "s_v6", "as_v6"),
        "F": ("as_v6",),
    }
    return tuple(
        VmSize(name=f"Standard_{family}{vcpus}{suffix}", vcpus=vcpus, gpu=None)
        for family, suffixes in families.items()
        for suffix in suffixes
        for vcpus in (2, 4, 8, 16, 32, 48, 64, 96)
        if not (family == "F" and vcpus == 96)
    )
