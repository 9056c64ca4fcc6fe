"""What NVIDIA's go-nvlib makes of our GPUs through the library, held against the plan's names and resources."""

from pathlib import Path

import pytest
from fake_gpu import FakeGpu
from nvml_by_go import devices

from plan.gpu.catalogue import GpuModel, gpu_models
from sandbox.tools import toolchain

pytestmark = pytest.mark.engine

UUID = "GPU-00000000-0000-0000-0000-000000000001"
ARCHITECTURE = {
    "A30-24GB": ("Ampere", "8.0"),
    "A100-40GB": ("Ampere", "8.0"),
    "A100-80GB": ("Ampere", "8.0"),
    "H100-80GB": ("Hopper", "9.0"),
    "H100-NVL-94GB": ("Hopper", "9.0"),
    "H200-141GB": ("Hopper", "9.0"),
}
"""Of each GPU of the catalogue, with its compute capability (NVIDIA's table of CUDA GPUs)."""


def plugged(folder: Path, model: str) -> FakeGpu:
    gpu = FakeGpu(folder, toolchain.gpu())
    gpu.plug({"model": model, "uuid": UUID})
    gpu.load_driver()
    gpu.enable()
    return gpu


@pytest.mark.parametrize("model", gpu_models().values(), ids=lambda model: model.name)
def test_go_nvlib_names_each_profile_as_the_plan_does(tmp_path: Path, model: GpuModel) -> None:
    gpu = plugged(tmp_path, model.name)
    for profile in model.profiles:
        gpu.said(f"mig -cgi {profile.name} -C")
        [one] = devices(gpu)
        assert (one["uuid"], one["mig_capable"], one["mig_enabled"]) == (UUID, True, True)
        [device] = one["mig_devices"]
        assert device["profile"] == profile.name
        assert "nvidia.com/mig-" + device["profile"].replace("+", ".") == profile.resource
        assert f"  MIG {profile.name:<11} Device  0: (UUID: {device['uuid']})\n" in gpu.said("-L")
        attributes = device["attributes"]
        assert attributes["MultiprocessorCount"] == profile.multiprocessors
        assert attributes["GpuInstanceSliceCount"] == attributes["ComputeInstanceSliceCount"] == profile.compute_slices
        assert {other.name for other in model.profiles} <= set(one["profiles"])
        gpu.said("mig -dci")
        gpu.said("mig -dgi")


def test_go_nvlib_names_a_part_of_an_instance_as_nvidia_smi_does(tmp_path: Path) -> None:
    gpu = plugged(tmp_path, "H100-80GB")
    gpu.said("mig -cgi 9")
    gpu.said("mig -cci 0,1")
    [one] = devices(gpu)
    assert [device["profile"] for device in one["mig_devices"]] == ["1c.3g.40gb", "2c.3g.40gb"]
    whole = {
        "SharedCopyEngineCount": 3,
        "SharedDecoderCount": 3,
        "SharedEncoderCount": 0,
        "SharedJpegCount": 3,
        "SharedOfaCount": 0,
        "GpuInstanceSliceCount": 3,
        "MemorySizeMB": 40448,
    }
    assert [device["attributes"] for device in one["mig_devices"]] == [
        {**whole, "MultiprocessorCount": 16, "ComputeInstanceSliceCount": 1},
        {**whole, "MultiprocessorCount": 32, "ComputeInstanceSliceCount": 2},
    ]


@pytest.mark.parametrize("model", gpu_models().values(), ids=lambda model: model.name)
def test_go_nvlib_sees_the_gpu_behind_it(tmp_path: Path, model: GpuModel) -> None:
    [one] = devices(plugged(tmp_path, model.name))
    assert (one["architecture"], one["compute_capability"]) == ARCHITECTURE[model.name]
    assert (one["brand"], one["bus_id"]) == ("Nvidia", "0001:00:00.0")
    assert (one["fabric_attached"], one["mig_devices"]) == (False, None)
