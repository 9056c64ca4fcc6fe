"""What the driver shows in /dev and /proc/driver follows what there is. Figures: an H100 with driver 580.159.04."""

import stat

import pytest
from fake_gpu import FakeGpu

CONTROL = {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1", "nvidia-caps/nvidia-cap2"}


def device_files(gpu: FakeGpu) -> set[str]:
    return {str(path.relative_to(gpu.device_files)) for path in gpu.device_files.rglob("*") if not path.is_dir()}


def instances_in_proc(gpu: FakeGpu) -> set[str]:
    folder = gpu.volatile / "proc/nvidia/capabilities"
    return {str(path.relative_to(folder)) for path in folder.rglob("access")}


def test_a_loaded_driver_has_a_file_for_each_gpu_and_those_of_all(gpu: FakeGpu) -> None:
    assert device_files(gpu) == {"nvidia0"} | CONTROL
    gpu.run("load-driver", "--unload").check_returncode()
    assert device_files(gpu) == set()
    gpu.plug({}, {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"})
    gpu.load_driver()
    assert device_files(gpu) == {"nvidia0", "nvidia1"} | CONTROL


def test_only_root_may_open_the_capability_to_change_mig(gpu: FakeGpu) -> None:
    modes = {name: stat.S_IMODE((gpu.device_files / name).stat().st_mode) for name in device_files(gpu)}
    assert modes["nvidia-caps/nvidia-cap1"] == 0o400
    proc = gpu.volatile / "proc/nvidia/capabilities/mig"
    assert (proc / "config").read_text() == "DeviceFileMinor: 1\nDeviceFileMode: 256\nDeviceFileModify: 1\n"
    assert (proc / "monitor").read_text() == "DeviceFileMinor: 2\nDeviceFileMode: 292\nDeviceFileModify: 1\n"


def test_every_instance_has_its_capabilities_until_it_is_destroyed(gpu: FakeGpu) -> None:
    gpu.enable()
    gpu.said("mig -cgi 9:4,19:0")
    assert device_files(gpu) == {"nvidia0", "nvidia-caps/nvidia-cap12", "nvidia-caps/nvidia-cap102"} | CONTROL
    gpu.said("mig -cci -gi 1")
    assert instances_in_proc(gpu) == {
        "gpu0/mig/gi1/access",
        "gpu0/mig/gi1/ci0/access",
        "gpu0/mig/gi11/access",
    }
    says = (gpu.volatile / "proc/nvidia/capabilities/gpu0/mig/gi1/ci0/access").read_text()
    assert says == "DeviceFileMinor: 13\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
    gpu.said("mig -dci -gi 1")
    gpu.said("mig -dgi -gi 11")
    assert device_files(gpu) == {"nvidia0", "nvidia-caps/nvidia-cap12"} | CONTROL
    gpu.reboot()
    assert device_files(gpu) == {"nvidia0"} | CONTROL
    assert instances_in_proc(gpu) == set()


def test_mig_minors_numbers_every_capability_there_can_be(gpu: FakeGpu) -> None:
    lines = (gpu.volatile / "proc/nvidia-caps/mig-minors").read_text().splitlines()
    assert lines[:3] == ["config 1", "monitor 2", "gpu0/gi0/access 3"]
    assert {"gpu0/gi0/ci7/access 11", "gpu0/gi3/access 30", "gpu0/gi3/ci0/access 31", "gpu0/gi7/ci1/access 68"} <= {
        *lines
    }
    assert "gpu1/gi0/access 138" in lines
    assert len(lines) == 4322  # the next number, 4323, is fabric-imex-mgmt's


@pytest.mark.parametrize(
    ("bus_id", "place"), [("00000001:00:00.0", "0001:00:00.0"), ("0000000A:0B:00.0", "000a:0b:00.0")]
)
def test_a_gpu_says_of_itself_where_it_is_and_which(gpu: FakeGpu, bus_id: str, place: str) -> None:
    gpu.run("load-driver", "--unload").check_returncode()
    gpu.plug({"pci_bus_id": bus_id})
    gpu.load_driver()
    says = (gpu.volatile / "proc/nvidia/gpus" / place / "information").read_text()
    assert "GPU UUID: \t GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b\n" in says
    assert f"Bus Location: \t {place}\nDevice Minor: \t 0\n" in says
    assert "\nModifyDeviceFiles: 1\n" in (gpu.volatile / "proc/nvidia/params").read_text()
