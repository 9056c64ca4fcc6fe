"""The catalogue against NVIDIA's tables, as captured on real GPUs and as published."""

import pytest

from plan.gpu.catalogue import gpu_models, vm_sizes

# nvidia-smi mig -lgip and -lgipp: id, name, maximum, starts:size, SM.
_EIGHT_SLOTS = [
    (19, 7, "{0,1,2,3,4,5,6}:1"),
    (20, 1, "{0,1,2,3,4,5,6}:1"),
    (15, 4, "{0,2,4,6}:2"),
    (14, 3, "{0,2,4}:2"),
    (9, 2, "{0,4}:4"),
    (5, 1, "{0}:4"),
    (0, 1, "{0}:8"),
]
_A30 = [
    (14, 4, "{0,1,2,3}:1"),
    (21, 1, "{0,1,2,3}:1"),
    (5, 2, "{0,2}:2"),
    (6, 1, "{0,2}:2"),
    (0, 1, "{0}:4"),
]
_NAMES = {
    "A100-40GB": "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb",
    "A100-80GB": "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
    "H100-80GB": "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
    "H100-NVL-94GB": "1g.12gb 1g.12gb+me 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb",
    "H200-141GB": "1g.18gb 1g.18gb+me 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb",
    "A30-24GB": "1g.6gb 1g.6gb+me 2g.12gb 2g.12gb+me 4g.24gb",
}
_AMPERE_SM = [14, 14, 14, 28, 42, 56, 98]
_HOPPER_SM = [16, 16, 26, 32, 60, 64, 132]
_SM = {
    "A100-40GB": _AMPERE_SM,
    "A100-80GB": _AMPERE_SM,
    "H100-80GB": _HOPPER_SM,
    "H100-NVL-94GB": _HOPPER_SM,
    "H200-141GB": _HOPPER_SM,
    "A30-24GB": [14, 14, 28, 28, 56],
}


def test_no_gpu_is_left_out_of_these_tables() -> None:
    """A model added to the catalogue needs a table here."""
    assert set(gpu_models()) == set(_NAMES) == set(_SM)


@pytest.mark.parametrize("name", _NAMES)
def test_profiles_are_what_nvidia_smi_lists(name: str) -> None:
    """Names, ids, maximum, placements and multiprocessors."""
    rows = _A30 if name == "A30-24GB" else _EIGHT_SLOTS
    model = gpu_models()[name]
    for row, profile_name, multiprocessors in zip(rows, _NAMES[name].split(), _SM[name], strict=True):
        profile = model.profile(profile_name)
        assert profile is not None
        starts = "{" + ",".join(map(str, profile.starts)) + "}:" + str(profile.memory_slices)
        assert (profile.id, profile.maximum, starts) == row
        assert profile.multiprocessors == multiprocessors
    assert len(model.profiles) == len(rows)


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
    """`+` is no legal character in a resource name."""
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


def test_no_size_with_a_gpu_is_left_out_of_this_table() -> None:
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
