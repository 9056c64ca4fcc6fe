"""A container sees the devices whose device files it has, and no others."""

import json
from pathlib import Path

import captured_smi as captured
import pytest
from fake_gpu import TUTORIAL_GPU, FakeGpu

CAPABILITIES_3G, CAPABILITIES_2G, CAPABILITIES_1G = (
    tuple(f"nvidia-caps/nvidia-cap{number}" for number in numbers) for numbers in ((12, 13), (48, 49), (120, 121))
)
"""Of the GPU instances 1, 5 and 13, each with its compute instance 0."""
SEVEN = (8, 9, 7, 12, 11, 13, 14)
"""The GPU instances of the tutorial's seven pods, in the order of their logs."""


@pytest.fixture
def node(gpu: FakeGpu) -> FakeGpu:
    """A GPU with MIG mode on."""
    gpu.enable()
    return gpu


def test_the_tutorials_pods_each_see_their_own_device(node: FakeGpu) -> None:
    node.said("mig -cgi 19,19,19,19,19,19,19 -C")
    for instance, log in zip(SEVEN, captured.TUTORIAL_POD_LOGS, strict=True):
        first = 3 + 9 * instance
        node.enter_container("nvidia0", f"nvidia-caps/nvidia-cap{first}", f"nvidia-caps/nvidia-cap{first + 1}")
        assert node.said("-L") == log


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ((*CAPABILITIES_2G, *CAPABILITIES_3G), ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1"]),
        (CAPABILITIES_2G, ["GPU", "MIG 2g.20gb 0"]),
        (
            (*CAPABILITIES_1G, *CAPABILITIES_2G, *CAPABILITIES_3G),
            ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1", "MIG 1g.10gb 2"],
        ),
        ((), ["GPU"]),
        (CAPABILITIES_3G[:1], ["GPU"]),  # the GPU instance without what is in it
        (CAPABILITIES_3G[1:], ["GPU"]),
    ],
)
def test_a_device_is_seen_by_who_has_both_its_capabilities(
    node: FakeGpu, files: tuple[str, ...], seen: list[str]
) -> None:
    node.said("mig -cgi 9,14,19 -C")
    node.enter_container("nvidia0", *files)
    lines = [line.split() for line in node.said("-L").splitlines()]
    assert [f"MIG {line[1]} {line[3].rstrip(':')}" if line[0] == "MIG" else line[0] for line in lines] == seen


def test_who_has_the_capability_to_monitor_sees_every_device_and_may_change_none(node: FakeGpu) -> None:
    node.said("mig -cgi 9,14 -C")
    node.enter_container("nvidia0", "nvidia-caps/nvidia-cap2")
    assert node.said("-L").count("UUID: MIG-") == 2
    assert node.smi("mig -dci").returncode == 4


def test_capabilities_without_their_gpu_show_nothing(node: FakeGpu) -> None:
    node.said("mig -cgi 9 -C")
    node.enter_container(*CAPABILITIES_3G)
    assert node.smi("-L").returncode == 6


def test_a_container_that_got_the_second_gpu_calls_it_gpu_0(node: FakeGpu) -> None:
    node.plug({}, {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"})
    node.enter_container("nvidia1")
    assert node.said("-L") == "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-00000000-0000-0000-0000-000000000002)\n"


def test_a_container_with_one_device_may_not_list_or_change_instances(node: FakeGpu) -> None:
    node.said("mig -cgi 9,14 -C")
    node.enter_container("nvidia0", *CAPABILITIES_3G)
    for command in ("-lgi", "-cgi 19", "-dci"):
        assert node.smi(f"mig {command}").returncode == 4, command
    assert node.smi("-mig 0").returncode == 4


@pytest.mark.parametrize(
    ("is_on", "files", "used"),
    [
        (False, ("nvidia0",), [TUTORIAL_GPU]),
        (False, (), None),
        (True, ("nvidia0",), None),
        (True, ("nvidia0", *CAPABILITIES_3G), ["MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c"]),
        (True, ("nvidia0", *CAPABILITIES_3G[:1]), None),  # the GPU instance without what is in it
        (True, CAPABILITIES_3G, None),
        (True, ("nvidia0", "nvidia-caps/nvidia-cap1", *CAPABILITIES_3G), None),  # who may change MIG
    ],
)
def test_a_container_uses_what_its_device_files_open(
    gpu: FakeGpu, tmp_path: Path, is_on: bool, files: tuple[str, ...], used: list[str] | None
) -> None:
    if is_on:
        gpu.enable()
        gpu.said("mig -cgi 9,14 -C")
    devices = [{"path": f"/dev/{name}"} for name in ("nvidiactl", *files)]
    config = {"root": {"path": "rootfs"}, "linux": {"devices": devices}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    gpu.in_a_namespace("container-hook", "begin", stdin=json.dumps({"id": "pod-1", "bundle": str(tmp_path)}))
    client = gpu.volatile / "clients" / "pod-1"
    assert (client.read_text().splitlines() if client.exists() else None) == used


def test_a_device_is_in_use_as_long_as_its_container_exists(node: FakeGpu) -> None:
    node.said("mig -cgi 9,14 -C")
    client = node.volatile / "clients" / "pod-1"
    client.parent.mkdir()
    client.write_text("MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c\n")
    assert node.smi("mig -dci -gi 1").returncode == 19
    assert node.smi("mig -dci -gi 5").returncode == 0
    ended = node.run("container-hook", "end", stdin='{"id": "pod-1"}')
    assert (ended.returncode, client.exists()) == (0, False)
    assert node.smi("mig -dci -gi 1").returncode == 0
    assert node.run("container-hook", "end", stdin='{"id": "pod-1"}').returncode == 0


def test_vector_add_computes_on_a_mig_device(node: FakeGpu) -> None:
    node.said("mig -cgi 9 -C")
    node.enter_container("nvidia0", *CAPABILITIES_3G)
    answer = node.run("vectorAdd")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == (
        "[Vector addition of 50000 elements]\n"
        "Copy input data from the host memory to the CUDA device\n"
        "CUDA kernel launch with 196 blocks of 256 threads\n"
        "Copy output data from the CUDA device to the host memory\n"
        "Test PASSED\n"
        "Done\n"
    )


def test_vector_add_finds_no_device_on_a_gpu_with_mig_mode_on_and_no_instance(node: FakeGpu) -> None:
    answer = node.run("vectorAdd")
    assert answer.returncode == 1
    assert answer.stderr == "Failed to allocate device vector A (error code no CUDA-capable device is detected)!\n"


def test_vector_add_finds_no_device_where_the_capability_of_the_instance_is_missing(node: FakeGpu) -> None:
    node.said("mig -cgi 9 -C")
    node.enter_container("nvidia0", CAPABILITIES_3G[0])
    assert "no CUDA-capable device is detected" in node.run("vectorAdd").stderr


def test_vector_add_needs_a_driver(node: FakeGpu) -> None:
    node.run("load-driver", "--unload")
    answer = node.run("vectorAdd")
    assert answer.returncode == 1
    assert "CUDA driver version is insufficient for CUDA runtime version" in answer.stderr
