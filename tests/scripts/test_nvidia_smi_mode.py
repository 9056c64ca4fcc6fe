"""MIG mode of the fake GPU: what takes effect when, and what a reboot keeps."""

from fake_gpu import FakeGpu

HOPPER = {
    "model": "H100-NVL-94GB",
    "uuid": "GPU-00000000-0000-0000-0000-00000000000b",
    "pci_bus_id": "00000001:00:00.0",
}


def test_on_an_a100_the_mode_waits_for_a_reboot_and_then_stays(gpu: FakeGpu) -> None:
    assert gpu.said("-mig 1 -i 0") == (
        "Warning: MIG mode is in pending enable state for GPU 00000001:00:00.0:Not Supported\n"
        "Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU 00000001:00:00.0\n"
        "All done.\n"
    )
    assert gpu.mode() == "Disabled, Enabled"
    assert gpu.said("mig -lgi") == "No MIG-enabled devices found.\n"
    gpu.reboot()
    assert gpu.mode() == "Enabled, Enabled"
    gpu.reboot()
    assert gpu.mode() == "Enabled, Enabled"
    assert gpu.said("-mig 1") == "Enabled MIG Mode for GPU 00000001:00:00.0\nAll done.\n"
    gpu.said("-mig 0")
    assert gpu.mode() == "Enabled, Disabled"
    gpu.reboot()
    assert gpu.mode() == "Disabled, Disabled"


def test_a_change_taken_back_before_the_reboot_leaves_nothing_pending(gpu: FakeGpu) -> None:
    gpu.said("-mig 1")
    assert gpu.said("-mig 0") == "Disabled MIG Mode for GPU 00000001:00:00.0\nAll done.\n"
    assert gpu.mode() == "Disabled, Disabled"


def test_on_a_hopper_gpu_the_mode_holds_at_once_and_is_lost_at_a_reboot(gpu: FakeGpu) -> None:
    gpu.plug(HOPPER)
    gpu.reboot()
    assert gpu.said("-mig 1") == "Enabled MIG Mode for GPU 00000001:00:00.0\nAll done.\n"
    assert gpu.mode() == "Enabled, Enabled"
    gpu.reboot()
    assert gpu.mode() == "Disabled, Disabled"


def test_instances_are_lost_at_a_reboot(gpu: FakeGpu) -> None:
    gpu.enable()
    gpu.said("mig -cgi 9 -C")
    gpu.reboot()
    assert gpu.smi("mig -lgi").returncode == 6


def test_a_mode_is_not_turned_off_under_instances(gpu: FakeGpu) -> None:
    gpu.plug(HOPPER)
    gpu.reboot()
    gpu.said("-mig 1")
    gpu.said("mig -cgi 9")
    assert "in pending disable state for GPU 00000001:00:00.0:In use by another client\n" in gpu.said("-mig 0")
    assert gpu.mode() == "Enabled, Disabled"
    gpu.said("mig -dgi")
    assert gpu.said("-mig 0") == "Disabled MIG Mode for GPU 00000001:00:00.0\nAll done.\n"


def test_a_virtual_machine_cannot_reset_its_gpu(gpu: FakeGpu) -> None:
    answer = gpu.smi("--gpu-reset")
    assert (answer.returncode, answer.stdout) == (3, "Resetting GPU 00000001:00:00.0 is not supported.\n")


def test_a_loaded_driver_stays_as_it_is(gpu: FakeGpu) -> None:
    gpu.enable()
    gpu.said("mig -cgi 9 -C")
    gpu.load_driver("515.86.01")
    assert gpu.said("--query-gpu=driver_version --format=csv,noheader") == "580.159.04\n"
    assert gpu.placements() == ["3g.40gb 1 4:4"]


def test_a_machine_without_a_gpu_loads_no_driver(gpu: FakeGpu) -> None:
    gpu.run("load-driver", "--unload")
    gpu.plug()
    answer = gpu.run("load-driver")
    assert (answer.returncode, answer.stderr) == (1, "modprobe: ERROR: could not insert 'nvidia': No such device\n")
    assert gpu.smi("-L").returncode == 9


def test_the_1g_with_twice_the_memory_came_after_the_tutorials_driver(gpu: FakeGpu) -> None:
    gpu.run("load-driver", "--unload")
    gpu.load_driver("515.86.01")
    assert "Profile ID 15" not in gpu.said("mig -lgipp")
    gpu.run("load-driver", "--unload")
    gpu.load_driver()
    assert "Profile ID 15" in gpu.said("mig -lgipp")


def test_a_driver_whose_words_nobody_captured_is_not_loaded(gpu: FakeGpu) -> None:
    """None of those between the tutorial's and the one that a stack may choose."""
    gpu.run("load-driver", "--unload")
    answer = gpu.run("load-driver", "550.90.07")
    assert answer.returncode == 1
    assert "this GPU was captured with: 515 (the tutorial's) and 580" in answer.stderr
