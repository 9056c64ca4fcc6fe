"""What a client of the driver's library meets beside instances: names, permissions, events, the fabric, the driver."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_gpu import TUTORIAL_GPU, FakeGpu
from nvml_process import Client, client_of

from sandbox.error import SandboxError
from sandbox.tools import toolchain

pytestmark = pytest.mark.engine

HOPPER = {"model": "H100-80GB", "uuid": "GPU-00000000-0000-0000-0000-000000000001", "pci_bus_id": "00000002:00:00.0"}
UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, NOT_LOADED = 1, 2, 3, 4, 6, 9
INSUFFICIENT_SIZE, TIMEOUT, GPU_LOST, LIBRARY_MISMATCH, IN_USE = 7, 10, 15, 18, 19
XID, MIG_CHANGE, NOT_AN_EVENT = 0x8, 0x100, 0x10000
FABRIC_NONE, FABRIC_IN_PROGRESS, FABRIC_COMPLETED = 0, 2, 3


@pytest.fixture
def gpu(tmp_path: Path) -> FakeGpu:
    """An A100 80GB PCIe and an H100 80GB, with MIG mode on."""
    made = FakeGpu(tmp_path, toolchain.gpu())
    made.plug({}, HOPPER)
    made.load_driver()
    made.said("-mig 1")
    made.reboot()
    made.said("-mig 1")
    return made


@pytest.fixture
def client(gpu: FakeGpu) -> Iterator[Client]:
    with client_of(gpu, toolchain.nvml()) as made:
        made.call("nvmlInit")
        yield made


def test_nothing_is_answered_before_the_library_is_initialised_or_after_it_was_shut_down(gpu: FakeGpu) -> None:
    with client_of(gpu, toolchain.nvml()) as client:
        client.call("nvmlInit")
        client.call("nvmlInit")
        client.call("nvmlShutdown")
        assert client.code("system") == 0
        client.call("nvmlShutdown")
        assert client.code("system") == UNINITIALIZED
        assert client.code("nvmlShutdown") == UNINITIALIZED


def test_without_a_driver_and_beside_another_one_the_library_is_not_initialised(gpu: FakeGpu) -> None:
    with client_of(gpu, toolchain.nvml()) as client:
        gpu.fault({"driver_mismatch": True})
        assert client.code("nvmlInit") == LIBRARY_MISMATCH
        gpu.fault({})
        gpu.run("load-driver", "--unload").check_returncode()
        assert client.code("nvmlInit") == NOT_LOADED


def test_a_device_is_found_by_each_of_its_names(gpu: FakeGpu, client: Client) -> None:
    gpu.said("mig -i 0 -cgi 9:4 -C")
    mig = "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c"
    assert client.call("at_place", TUTORIAL_GPU) == TUTORIAL_GPU
    assert client.call("at_place", mig) == mig
    assert client.call("at_place", f"MIG-{TUTORIAL_GPU}/1/0") == mig
    for bus in ("00000002:00:00.0", "2:0:0.0", "0002:00:00", "2:0:0"):
        assert client.call("at_bus", bus) == HOPPER["uuid"]
    assert client.code("at_place", f"MIG-{TUTORIAL_GPU}/2/0") == NOT_FOUND
    assert client.code("at_place", "40ed9496-24f9-5b8b-95ca-648bfea46a9c") == INVALID_ARGUMENT
    assert client.code("at_bus", "00000003:00:00.0") == NOT_FOUND
    assert client.code("at_bus", "2") == INVALID_ARGUMENT


def test_a_text_that_does_not_fit_is_refused(client: Client) -> None:
    assert client.call("name_within", 1, len("NVIDIA H100 80GB HBM3") + 1) == "NVIDIA H100 80GB HBM3"
    assert client.code("name_within", 1, len("NVIDIA H100 80GB HBM3")) == INSUFFICIENT_SIZE


def test_a_gpu_that_is_lost_is_counted_and_refused_and_ends_a_search_for_a_uuid(gpu: FakeGpu, client: Client) -> None:
    gpu.fault({"off_the_bus": [0]})
    assert client.call("system")["count"] == 2
    assert client.code("ask", "nvmlDeviceGetName", 0) == GPU_LOST
    assert client.call("ask", "nvmlDeviceGetName", 1) == "NVIDIA H100 80GB HBM3"
    assert client.code("at_place", str(HOPPER["uuid"])) == GPU_LOST


def test_handles_of_what_is_gone_and_of_another_kind_are_invalid(client: Client) -> None:
    assert client.call("of_an_instance_that_is_gone", 0, 19) == [INVALID_ARGUMENT] * 4


def test_instances_are_for_root_and_devices_for_everybody(gpu: FakeGpu) -> None:
    gpu.said("mig -i 0 -cgi 9:4 -C")
    written = (gpu.volatile / "state.json").stat().st_ino
    with client_of(gpu, toolchain.nvml(), GPU_PRIVILEGED="0") as client:
        client.call("nvmlInit")
        assert client.code("picture") == NO_PERMISSION
        assert client.code("create", 0, 19, None, None) == NO_PERMISSION
        assert client.code("destroy", 0, 1) == NO_PERMISSION
        assert client.code("ask", "nvmlDeviceSetMigMode", 0, 0) == NO_PERMISSION
        assert client.code("ask", "nvmlDeviceSetPersistenceMode", 0, 0) == NO_PERMISSION
        assert client.code("placements", 0, 19) == NO_PERMISSION
        assert client.call("ask", "nvmlDeviceGetMigMode", 0) == [1, 1]
        assert len(client.call("picture_of_nvitop")[0]["devices"]) == 1
    assert gpu.placements() == ["3g.40gb 1 4:4"]
    assert (gpu.volatile / "state.json").stat().st_ino == written


def test_a_container_sees_the_devices_it_was_given(gpu: FakeGpu, client: Client) -> None:
    gpu.said("mig -i 0 -cgi 9,14 -C")
    client.call("hold", 0, 1)
    client.call("held_compute_instance")
    given = client.call("picture")[0]["devices"][1]
    gpu.enter_container("nvidia0", "nvidia-caps/nvidia-cap48", "nvidia-caps/nvidia-cap49")
    seen = client.call("picture_of_nvitop")
    assert [(one["uuid"], [mig["uuid"] for mig in one["devices"]]) for one in seen] == [(TUTORIAL_GPU, [given["uuid"]])]
    assert client.code("create", 0, 19, None, None) == NO_PERMISSION
    assert (client.call("held_id"), client.code("held_compute_instance")) == (1, NO_PERMISSION)


@pytest.mark.parametrize("user", ["MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c", TUTORIAL_GPU])
def test_what_somebody_uses_is_in_use(gpu: FakeGpu, client: Client, user: str) -> None:
    gpu.said("mig -i 0 -cgi 9:4 -C")
    gpu.fault({"busy": [user]})
    assert client.code("destroy_compute", 0, 1, 0) == IN_USE
    assert client.code("destroy", 0, 1) == IN_USE
    assert client.call("ask", "nvmlDeviceSetMigMode", 0, 0) == IN_USE
    assert client.call("ask", "nvmlDeviceGetMigMode", 0) == [1, 0]
    gpu.fault({})
    assert client.code("destroy_compute", 0, 1, 0) == 0


def test_changes_by_the_library_and_by_nvidia_smi_at_the_same_time_are_all_kept(gpu: FakeGpu, client: Client) -> None:
    for _ in range(5):
        with ThreadPoolExecutor() as both:
            by_smi = both.submit(lambda: [gpu.said("mig -i 1 -cgi 19") for _ in range(3)])
            for _ in range(4):
                client.call("create", 1, 19, None, None)
            by_smi.result()
        assert len(gpu.placements()) == 7
        gpu.said("mig -i 1 -dgi")


def test_a_placement_of_another_size_than_the_profiles_is_invalid(gpu: FakeGpu, client: Client) -> None:
    assert client.code("create", 0, 9, 4, 3) == INVALID_ARGUMENT
    assert client.code("create", 0, 9, 4, 4) == 0
    assert gpu.placements() == ["3g.40gb 1 4:4"]


def test_persistence_mode_is_set_for_every_client_until_the_driver_is_loaded_anew(gpu: FakeGpu, client: Client) -> None:
    client.call("ask", "nvmlDeviceSetPersistenceMode", 0, 0)
    assert client.call("ask", "nvmlDeviceGetPersistenceMode", 0) == 0
    command = "--query-gpu=persistence_mode --format=csv,noheader"
    assert gpu.said(command) == "Disabled\nEnabled\n"
    gpu.reboot()
    assert gpu.said(command) == "Enabled\nEnabled\n"


def test_a_mode_is_0_or_1(client: Client) -> None:
    assert client.code("ask", "nvmlDeviceSetMigMode", 0, 2) == INVALID_ARGUMENT
    assert client.code("ask", "nvmlDeviceSetPersistenceMode", 0, 2) == INVALID_ARGUMENT


def test_a_gpu_that_falls_off_the_bus_is_an_event_once(gpu: FakeGpu, client: Client) -> None:
    client.call("register", 0, XID)
    client.call("register", 1, MIG_CHANGE)
    assert client.code("register", 0, NOT_AN_EVENT) == NOT_SUPPORTED
    before = time.monotonic()
    assert client.code("wait", 200) == TIMEOUT
    assert time.monotonic() - before >= 0.2
    gpu.fault({"off_the_bus": [0, 1]})
    event = client.call("wait", 5000)
    assert event == {"eventType": XID, "eventData": 79, "gpuInstanceId": 0xFFFFFFFF, "computeInstanceId": 0xFFFFFFFF}
    assert client.code("wait", 50) == TIMEOUT


def test_a_gpu_says_how_far_it_is_with_its_fabric(gpu: FakeGpu, client: Client) -> None:
    assert client.call("fabric", 1) == FABRIC_NONE
    assert client.code("fabric", 0) == NOT_SUPPORTED
    gpu.plug({}, {**HOPPER, "nvswitch": True})
    assert client.call("fabric", 1) == FABRIC_IN_PROGRESS
    (gpu.volatile / "fabric").touch()
    assert client.call("fabric", 1) == FABRIC_COMPLETED
    gpu.fault({"fabric_not_ready": True})
    assert client.call("fabric", 1) == FABRIC_IN_PROGRESS


def test_a_driver_of_before_knows_fewer_profiles_and_events(gpu: FakeGpu, client: Client) -> None:
    gpu.run("load-driver", "--unload").check_returncode()
    gpu.load_driver("515.86.01")
    assert client.call("system") == {"driver": "515.86.01", "nvml": "11.515.86.01", "cuda": 11070, "count": 2}
    said = {int(number): answer for number, answer in client.call("profiles", 0).items()}
    assert {number for number, answer in said.items() if isinstance(answer, dict)} == {0, 1, 2, 3, 4, 7}
    assert [said[number] for number in (5, 6, 8, 9)] == [
        NOT_SUPPORTED,
        NOT_SUPPORTED,
        INVALID_ARGUMENT,
        INVALID_ARGUMENT,
    ]
    assert said[0]["memorySizeMB"] == 9728
    assert client.call("ask", "nvmlDeviceGetSupportedEventTypes", 0) == 0x19F


def test_without_a_c_compiler_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = shutil.which("go")
    assert go is not None
    (tmp_path / "go").symlink_to(go)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SandboxError) as refused:
        toolchain.nvml()
    assert str(refused.value) == (
        "gcc is not on PATH, and what uses the driver's library is built with it: apt-get install build-essential"
    )
