"""The kernel module of the stand-in: what is installed for the running kernel is loaded, whatever nvidia-smi is of."""

from pathlib import Path

import pytest
from fake_gpu import FakeGpu

KERNEL = "6.8.0-1064-azure"


def install(gpu: FakeGpu, module: str, library: str) -> None:
    """A module package for KERNEL and a userland; nothing is loaded."""
    gpu.run("load-driver", "--unload")
    path = Path(gpu.environment["GPU_MODULES"]) / KERNEL / "kernel/nvidia-580srv/nvidia.ko"
    path.parent.mkdir(parents=True)
    path.write_text(module)
    Path(gpu.environment["GPU_LIBRARY"]).symlink_to(f"libnvidia-ml.so.{library}")


def test_a_module_of_another_version_than_the_library_loads_and_nothing_works(gpu: FakeGpu) -> None:
    install(gpu, "580.126.09 proprietary\n", "580.159.04")
    assert gpu.run("load-driver", "--kernel", KERNEL).returncode == 0
    answer = gpu.smi("-L")
    assert (answer.returncode, answer.stdout.splitlines()[0]) == (
        18,
        "Failed to initialize NVML: Driver/library version mismatch",
    )
    assert "unsupported display driver / cuda driver combination" in gpu.run("vectorAdd").stderr


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("proprietary", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Release Build\n"),
        ("open", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\n"),
    ],
)
def test_the_loaded_module_says_of_which_kind_it_is(gpu: FakeGpu, kind: str, words: str) -> None:
    install(gpu, f"580.159.04 {kind}\n", "580.159.04")
    gpu.run("load-driver", "--kernel", KERNEL).check_returncode()
    assert (gpu.volatile / "proc/nvidia/version").read_text() == words
    gpu.said("-L")
    gpu.run("load-driver", "--unload")
    assert not (gpu.volatile / "proc/nvidia").exists()


def test_a_kernel_without_the_module_finds_none(gpu: FakeGpu) -> None:
    install(gpu, "580.159.04 open\n", "580.159.04")
    answer = gpu.run("load-driver", "--kernel", "7.0.0-1020-azure")
    assert answer.returncode == 1
    assert answer.stderr == ("modprobe: FATAL: Module nvidia not found in directory /lib/modules/7.0.0-1020-azure\n")
