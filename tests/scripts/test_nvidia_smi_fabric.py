"""The fabric of the stand-in: GPUs with NVSwitch compute only while Fabric Manager of the driver's version runs."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fake_gpu import FakeGpu

NOT_INITIALIZED = "Failed to allocate device vector A (error code system not yet initialized)!"


@contextmanager
def fabric_manager(gpu: FakeGpu) -> Iterator[None]:
    """It runs, and has the GPUs joined."""
    process = subprocess.Popen([gpu.bin / "nv-fabricmanager", "580.159.04"], env=gpu.environment)
    try:
        deadline = time.monotonic() + 10
        while not (gpu.volatile / "fabric").exists():
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() < deadline, "10 s went by without a fabric"
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(10)


def shown(gpu: FakeGpu) -> list[str]:
    """The values of the section Fabric of `nvidia-smi -q`."""
    lines = gpu.said("-q").splitlines()
    start = lines.index("    Fabric")
    return [line.split(" : ")[1] for line in lines[start + 1 : start + 3]]


def plug(gpu: FakeGpu, model: str, *, nvswitch: bool) -> None:
    gpu.run("load-driver", "--unload")
    gpu.plug({"model": model, "nvswitch": nvswitch})
    gpu.load_driver()


@pytest.mark.parametrize(
    ("model", "without", "ready"),
    [
        ("A100-40GB", ["N/A", "N/A"], ["N/A", "N/A"]),
        ("H100-80GB", ["In Progress", "N/A"], ["Completed", "Success"]),
        ("H200-141GB", ["In Progress", "N/A"], ["Completed", "Success"]),
    ],
)
def test_cuda_fails_until_fabric_manager_runs(gpu: FakeGpu, model: str, without: list[str], ready: list[str]) -> None:
    plug(gpu, model, nvswitch=True)
    assert shown(gpu) == without
    assert NOT_INITIALIZED in gpu.run("vectorAdd").stderr
    with fabric_manager(gpu):
        assert shown(gpu) == ready
        assert gpu.run("vectorAdd").returncode == 0
        gpu.fault({"fabric_not_ready": True})
        assert shown(gpu) == without
        assert NOT_INITIALIZED in gpu.run("vectorAdd").stderr
        gpu.fault({})
    assert NOT_INITIALIZED in gpu.run("vectorAdd").stderr


def test_gpus_without_nvswitch_compute_without_it_and_it_does_not_start_there(gpu: FakeGpu) -> None:
    plug(gpu, "H100-80GB", nvswitch=False)
    assert shown(gpu) == ["N/A", "N/A"]
    assert gpu.run("vectorAdd").returncode == 0
    answer = gpu.run("nv-fabricmanager", "580.159.04")
    assert answer.returncode == 1
    assert "Nothing to do [NV_WARN_NOTHING_TO_DO]" in answer.stderr


def test_it_does_not_run_beside_a_driver_of_another_version(gpu: FakeGpu) -> None:
    plug(gpu, "H100-80GB", nvswitch=True)
    answer = gpu.run("nv-fabricmanager", "580.178.04")
    assert answer.returncode == 1
    assert "interface version 580.178.04 don't match with driver version 580.159.04" in answer.stderr
