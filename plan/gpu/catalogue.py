"""GPU models, their MIG profiles and the Azure sizes that carry them, as catalogue.json has them.

Its numbers are NVIDIA's (MIG User Guide v580, `nvidia-smi mig -lgip` and `-lgipp`, with the profiles in that order;
Hopper tables captured on real GPUs) and Azure's size pages. Profile ids are for `show` and for reading tables only: the
machine asks its own GPU for them. The A30 is sold by no Azure size; it is there because its profile ids clash with the
others'.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from machine import placement

_CATALOGUE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True, kw_only=True)
class Profile(placement.Profile):
    """A GPU instance profile of one GPU model."""

    multiprocessors: int

    @property
    def resource(self) -> str:
        """The Kubernetes resource under the mixed strategy."""
        return f"nvidia.com/mig-{self.label}"

    @property
    def label(self) -> str:
        """The name as labels and resources spell it: `+` is not a legal character there."""
        return self.name.replace("+", ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuModel:
    """A GPU that can be divided: slots, limits and profiles, largest profile first."""

    name: str
    title: str
    memory_slots: int
    compute_slices: int
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
    nvswitch: bool = False
    """Its GPUs are joined by NVSwitch, so CUDA runs only where NVIDIA's Fabric Manager does."""


@cache
def gpu_models() -> dict[str, GpuModel]:
    """Every GPU model by name."""
    return {name: _model(name, entry) for name, entry in _catalogue()["models"].items()}


@cache
def vm_sizes() -> dict[str, VmSize]:
    """Every Azure size this program knows, by name.

    Those without a GPU are general purpose (D), memory (E) and compute (F) sizes with premium storage, Intel and AMD.
    """
    models = gpu_models()
    with_gpu = {
        name: VmSize(name=name, **{**entry, "gpu": models[entry["gpu"]]})
        for name, entry in _catalogue()["sizes"].items()
    }
    without = {
        name: VmSize(name=name, vcpus=vcpus, gpu=None)
        for entry in _catalogue()["families_without_gpu"]
        for suffix in entry["suffixes"]
        for vcpus in entry["vcpus"]
        for name in [f"Standard_{entry['family']}{vcpus}{suffix}"]
    }
    return with_gpu | without


@cache
def _catalogue() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return content


def _model(name: str, entry: dict[str, Any]) -> GpuModel:
    profiles = [Profile(**{**each, "starts": tuple(each["starts"])}) for each in entry["profiles"]]
    return GpuModel(name=name, **{**entry, "profiles": placement.largest_first(profiles)})
