"""The catalogue against NVIDIA's tables, as captured on real GPUs and as published."""

import pytest

from mig_states import MODELS, table
from plan.gpu.catalogue import gpu_models, vm_sizes

_EIGHT_SLICES = (0, 5, 9, 14, 15, 19, 20)
_AMPERE = (98, 56, 42, 28, 14, 14, 14)
_HOPPER = (132, 64, 60, 32, 26, 16, 16)
_IDS_AND_MULTIPROCESSORS = {
    "A100-40GB": (_EIGHT_SLICES, _AMPERE),
    "A100-80GB": (_EIGHT_SLICES, _AMPERE),
    "H100-80GB": (_EIGHT_SLICES, _HOPPER),
    "H100-NVL-94GB": (_EIGHT_SLICES, _HOPPER),
    "H200-141GB": (_EIGHT_SLICES, _HOPPER),
    "A30-24GB": ((0, 5, 6, 14, 21), (56, 28, 28, 14, 14)),
}
"""What `nvidia-smi mig -lgip` has beside names and placements, which `mig_states` has; largest profile first."""


def test_every_gpu_is_in_these_tables() -> None:
    """A model added to the catalogue needs a table here, and one of its placements."""
    assert set(gpu_models()) == set(MODELS) == set(_IDS_AND_MULTIPROCESSORS)


@pytest.mark.parametrize("name", MODELS)
def test_profiles_are_what_nvidia_smi_lists(name: str) -> None:
    rows = zip(table(name), *_IDS_AND_MULTIPROCESSORS[name], strict=True)
    assert {
        each.name: (
            (each.memory_slices, each.compute_slices, each.starts, each.maximum),
            each.id,
            each.multiprocessors,
        )
        for each in gpu_models()[name].profiles
    } == {row.name: (tuple(row[1:]), number, multiprocessors) for row, number, multiprocessors in rows}


def test_profiles_come_largest_first() -> None:
    """NVIDIA's known issue: a 3g must be made before smaller ones."""
    for model in gpu_models().values():
        sizes = [(profile.memory_slices, profile.compute_slices) for profile in model.profiles]
        assert sizes == sorted(sizes, reverse=True)


def test_only_ampere_reboots_for_its_mig_mode() -> None:
    """Hopper changes at once."""
    waits = {name for name, model in gpu_models().items() if model.mode_needs_reboot}
    assert waits == {"A100-40GB", "A100-80GB", "A30-24GB"}


def test_a_resource_spells_the_plus_as_a_dot() -> None:
    """`+` is not a legal character in a resource name."""
    profile = gpu_models()["A100-80GB"].profile("1g.10gb+me")
    assert profile is not None
    assert profile.resource == "nvidia.com/mig-1g.10gb.me"


_SIZES = {
    "Standard_NC24ads_A100_v4": ("A100-80GB", 1),
    "Standard_NC48ads_A100_v4": ("A100-80GB", 2),
    "Standard_NC96ads_A100_v4": ("A100-80GB", 4),
    "Standard_NC40ads_H100_v5": ("H100-NVL-94GB", 1),
    "Standard_NC80adis_H100_v5": ("H100-NVL-94GB", 2),
    "Standard_ND96asr_v4": ("A100-40GB", 8),
    "Standard_ND96amsr_A100_v4": ("A100-80GB", 8),
    "Standard_ND96isr_H100_v5": ("H100-80GB", 8),
    "Standard_ND96isr_H200_v5": ("H200-141GB", 8),
    "Standard_ND96ams_A100_v4": ("A100-80GB", 8),
    "Standard_ND96is_H100_v5": ("H100-80GB", 8),
    "Standard_ND96is_H200_v5": ("H200-141GB", 8),
    "Standard_ND96isrf_H200_v5": ("H200-141GB", 8),
}


def test_every_size_with_a_gpu_is_in_this_table() -> None:
    """A size added to the catalogue needs a row here."""
    assert {size.name for size in vm_sizes().values() if size.gpu} == set(_SIZES)


@pytest.mark.parametrize("size", _SIZES)
def test_azure_sizes_carry_these_gpus(size: str) -> None:
    """Azure's size pages."""
    found = vm_sizes()[size]
    assert found.gpu is not None
    assert (found.gpu.name, found.gpu_count) == _SIZES[size]


def test_the_nd_sizes_and_no_others_have_nvswitch() -> None:
    """AgentBaker's FabricManagerGPUSizes; on an NC size Fabric Manager fails to start."""
    assert {size.name for size in vm_sizes().values() if size.nvswitch} == {
        "Standard_ND96asr_v4",
        "Standard_ND96amsr_A100_v4",
        "Standard_ND96ams_A100_v4",
        "Standard_ND96isr_H100_v5",
        "Standard_ND96is_H100_v5",
        "Standard_ND96isr_H200_v5",
        "Standard_ND96is_H200_v5",
        "Standard_ND96isrf_H200_v5",
    }


def test_sizes_without_a_gpu_are_known() -> None:
    """A cluster may have servers that carry none."""
    assert vm_sizes()["Standard_D4s_v5"].gpu is None
