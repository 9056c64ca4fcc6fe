"""What goes wrong on purpose (hardware/faults.json), as nvidia-smi shows it."""

import subprocess

import pytest
from fake_gpu import FakeGpu

MIXED_3G = "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c"


@pytest.fixture
def a100(gpu: FakeGpu) -> FakeGpu:
    gpu.enable()
    return gpu


def test_the_kth_creation_fails_once_over_several_calls(a100: FakeGpu) -> None:
    a100.said("mig -cgi 19")
    a100.fault({"cgi_fails_at": 3})
    a100.said("mig -cgi 19:0")
    answer = a100.smi("mig -cgi 19:1,19:2,19:3")
    assert answer.returncode == 23
    assert answer.stdout.endswith(
        "Unable to create a GPU instance on GPU  0 using profile 19:2: Insufficient Resources\n"
        "Failed to create GPU instances: Insufficient Resources\n"
    )
    assert len(a100.placements()) == 3
    a100.said("mig -cgi 19:2,19:3")
    a100.fault({"cgi_fails_at": 1})
    assert a100.smi("mig -cgi 19:4").returncode == 23


def test_success_is_claimed_and_nothing_is_made(a100: FakeGpu) -> None:
    a100.fault({"cgi_claims_success": True})
    assert a100.said("mig -cgi 9 -C").count("Successfully created") == 2
    assert a100.smi("mig -lgi").returncode == 6


def test_a_mode_that_stays_pending_does_so_over_reboots(gpu: FakeGpu) -> None:
    gpu.fault({"mode_stays_pending": True})
    gpu.said("-mig 1")
    gpu.reboot()
    assert gpu.mode() == "Disabled, Enabled"
    gpu.fault({})
    gpu.reboot()
    assert gpu.mode() == "Enabled, Enabled"


@pytest.mark.parametrize(("hang", "command"), [(" ", "-L"), ("-cgi", "mig -cgi 9")])
def test_nvidia_smi_hangs(a100: FakeGpu, hang: str, command: str) -> None:
    a100.fault({"hang": hang})
    with pytest.raises(subprocess.TimeoutExpired):
        a100.run("nvidia-smi", *command.split(), timeout=0.5)


def test_only_the_named_calls_hang(a100: FakeGpu) -> None:
    a100.fault({"hang": "-cgi"})
    assert a100.smi("-L").returncode == 0


def test_a_gpu_off_the_bus_is_named_and_the_others_answer(gpu: FakeGpu) -> None:
    gpu.plug({}, {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"})
    gpu.reboot()
    gpu.fault({"off_the_bus": [0]})
    answer = gpu.smi("--query-gpu=index --format=csv,noheader")
    assert answer.returncode == 15
    assert answer.stdout == (
        "Unable to determine the device handle for GPU0: 0001:00:00.0: GPU is lost.  "
        "Reboot the system to recover this GPU\n"
        "1\n"
    )


def test_user_space_and_kernel_module_differ(gpu: FakeGpu) -> None:
    gpu.fault({"driver_mismatch": True})
    answer = gpu.smi("-L")
    assert answer.returncode == 18
    assert answer.stdout.startswith("Failed to initialize NVML: Driver/library version mismatch\n")


def test_a_driver_does_not_load(gpu: FakeGpu) -> None:
    gpu.run("load-driver", "--unload")
    gpu.fault({"driver_does_not_load": True})
    assert gpu.run("load-driver").returncode == 1
    assert gpu.smi("").returncode == 9


def test_an_instance_in_use_is_not_destroyed(a100: FakeGpu) -> None:
    a100.said("mig -cgi 9,14 -C")
    a100.fault({"busy": [MIXED_3G]})
    answer = a100.smi("mig -dci")
    assert answer.returncode == 19
    assert answer.stdout == (
        "Unable to destroy compute instance ID  0 from GPU  0 GPU instance ID  1: In use by another client\n"
        "Failed to destroy compute instances: In use by another client\n"
    )
    assert a100.said("mig -dci -gi 5") == (
        "Successfully destroyed compute instance ID  0 from GPU  0 GPU instance ID  5\n"
    )


def test_the_mode_of_a_gpu_in_use_is_only_pending(gpu: FakeGpu) -> None:
    gpu.plug({"model": "H100-80GB"})
    gpu.reboot()
    gpu.fault({"busy": ["GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b"]})
    assert gpu.said("-mig 1") == (
        "Warning: MIG mode is in pending enable state for GPU 00000001:00:00.0:In use by another client\n"
        "00000001:00:00.0 is currently being used by one or more other processes (e.g. CUDA application or a "
        "monitoring application such as another instance of nvidia-smi). Please first kill all processes using the "
        "device and retry the command or reboot the system to make MIG mode effective.\n"
        "All done.\n"
    )
    assert gpu.mode() == "Disabled, Enabled"


def test_somebody_elses_instances_are_there_after_the_boot(gpu: FakeGpu) -> None:
    gpu.said("-mig 1")
    gpu.fault({"foreign": [{"gpu": 0, "profile": "1g.10gb", "start": 5}]})
    gpu.reboot()
    assert gpu.placements() == ["1g.10gb 8 5:1"]
    assert gpu.said("-L").count("MIG-") == 1
