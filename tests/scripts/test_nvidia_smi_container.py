"""A container sees the devices its runtime gave it and no others."""

import json
from pathlib import Path
from typing import Any

import captured_smi as captured
import pytest
from fake_gpu import TUTORIAL_GPU, FakeGpu

MIXED_3G, MIXED_2G = "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c", "MIG-46602d72-bafb-513e-a79c-03cd078519b4"


@pytest.fixture
def node(gpu: FakeGpu, tmp_path: Path) -> FakeGpu:
    """A GPU with MIG mode on and a runc that writes down how it was called."""
    gpu.enable()
    runc = tmp_path / "runc"
    runc.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/runc-arguments"\n')
    runc.chmod(0o755)
    gpu.environment["RUNC"] = str(runc)
    gpu.environment["XDG_CONFIG_HOME"] = str(tmp_path / "etc")
    return gpu


def bundle(path: Path, *env: str, capabilities: tuple[str, ...] = (), **more: Any) -> Path:  # noqa: ANN401 - JSON
    path.mkdir()
    process = {"args": ["sh"], "env": ["PATH=/bin", *env], "capabilities": {"bounding": list(capabilities)}}
    (path / "config.json").write_text(json.dumps({"ociVersion": "1.0.2", "process": process, "mounts": [], **more}))
    return path


def configure(node: FakeGpu, content: str) -> None:
    """Write the toolkit's config.toml."""
    file = Path(node.environment["XDG_CONFIG_HOME"]) / "nvidia-container-runtime/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def create(node: FakeGpu, made: Path, *options: str) -> int:
    return node.run("nvidia-container-runtime", *options, "create", "--bundle", str(made), "pod-1").returncode


def mounts(made: Path) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in json.loads((made / "config.json").read_text())["mounts"]}


def enter(node: FakeGpu, made: Path) -> None:
    """Look at the GPU as a process in the container does."""
    node.environment["GPU_VISIBLE"] = mounts(made)["/run/nvidia-visible-devices"]["source"]


def test_a_container_gets_nvidia_smi_and_read_only_state(node: FakeGpu, tmp_path: Path, gpu_program: Path) -> None:
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=all")
    assert create(node, made, "--root", "/run/runc") == 0
    assert (tmp_path / "runc-arguments").read_text() == f"--root /run/runc create --bundle {made} pod-1\n"
    added = mounts(made)
    assert {place: mount["source"] for place, mount in added.items()} == {
        "/usr/bin/nvidia-smi": str(gpu_program),
        "/hardware": str(node.hardware),
        "/run/gpu": str(node.volatile),
        "/run/nvidia-visible-devices": str(node.volatile / "clients" / "pod-1"),
    }
    assert all(mount["type"] == "bind" and "ro" in mount["options"] for mount in added.values())
    assert json.loads((made / "config.json").read_text())["process"]["args"] == ["sh"]


def test_a_containers_config_stays_as_private_as_it_was(node: FakeGpu, tmp_path: Path) -> None:
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=all", "PASSWORD=tell-nobody")
    (made / "config.json").chmod(0o600)
    assert create(node, made) == 0
    assert (made / "config.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("env", [[], ["NVIDIA_VISIBLE_DEVICES="], ["NVIDIA_VISIBLE_DEVICES=void"]])
def test_a_container_that_asks_for_nothing_is_left_alone(node: FakeGpu, tmp_path: Path, env: list[str]) -> None:
    made = bundle(tmp_path / "pod", *env)
    before = (made / "config.json").read_text()
    assert create(node, made) == 0
    assert (made / "config.json").read_text() == before


def test_what_a_container_mounts_itself_is_kept(node: FakeGpu, tmp_path: Path) -> None:
    own = {"destination": "/hardware", "type": "bind", "source": "/elsewhere", "options": ["rw"]}
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=all", mounts=[own])
    assert create(node, made) == 0
    assert mounts(made)["/hardware"] == own


def test_the_tutorials_pods_each_see_their_own_device(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 19,19,19,19,19,19,19 -C")
    outside = node.environment["GPU_VISIBLE"]
    for number, log in enumerate(captured.TUTORIAL_POD_LOGS):
        node.environment["GPU_VISIBLE"] = outside
        uuid = log.split("UUID: ")[2].split(")")[0]
        made = bundle(tmp_path / f"pod-{number}", f"NVIDIA_VISIBLE_DEVICES={uuid}")
        assert create(node, made) == 0
        enter(node, made)
        assert node.said("-L") == log


@pytest.mark.parametrize(
    ("devices", "seen"),
    [
        (f"{MIXED_2G},{MIXED_3G}", ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1"]),
        ("0:1", ["GPU", "MIG 2g.20gb 0"]),
        (TUTORIAL_GPU, ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1", "MIG 1g.10gb 2"]),
        ("0", ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1", "MIG 1g.10gb 2"]),
        ("all", ["GPU", "MIG 3g.40gb 0", "MIG 2g.20gb 1", "MIG 1g.10gb 2"]),
    ],
)
def test_devices_are_named_by_uuid_or_index(node: FakeGpu, tmp_path: Path, devices: str, seen: list[str]) -> None:
    node.said("mig -cgi 9,14,19 -C")
    made = bundle(tmp_path / "pod", f"NVIDIA_VISIBLE_DEVICES={devices}")
    assert create(node, made) == 0
    enter(node, made)
    lines = [line.split() for line in node.said("-L").splitlines()]
    assert [f"MIG {line[1]} {line[3].rstrip(':')}" if line[0] == "MIG" else line[0] for line in lines] == seen


def test_a_container_that_got_the_second_gpu_calls_it_gpu_0(node: FakeGpu, tmp_path: Path) -> None:
    node.plug({}, {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"})
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=1")
    assert create(node, made) == 0
    enter(node, made)
    assert node.said("-L") == "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-00000000-0000-0000-0000-000000000002)\n"


def test_no_devices_are_no_devices(node: FakeGpu, tmp_path: Path) -> None:
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=none")
    assert create(node, made) == 0
    enter(node, made)
    assert node.smi("-L").returncode == 6


def test_a_container_with_one_device_may_not_list_or_change_instances(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 9,14 -C")
    made = bundle(tmp_path / "pod", f"NVIDIA_VISIBLE_DEVICES={MIXED_3G}")
    assert create(node, made) == 0
    enter(node, made)
    for command in ("-lgi", "-cgi 19", "-dci"):
        assert node.smi(f"mig {command}").returncode == 4, command


def test_an_unknown_device_keeps_the_container_from_starting(node: FakeGpu, tmp_path: Path) -> None:
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=MIG-00000000-0000-0000-0000-000000000000")
    log = tmp_path / "log.json"
    assert create(node, made, "--log", str(log), "--log-format", "json") == 1
    assert not (tmp_path / "runc-arguments").exists()
    assert json.loads(log.read_text())["msg"] == (
        "nvidia-container-cli: device error: MIG-00000000-0000-0000-0000-000000000000: unknown device"
    )


def test_without_a_driver_no_gpu_container_starts(node: FakeGpu, tmp_path: Path) -> None:
    node.run("load-driver", "--unload")
    assert create(node, bundle(tmp_path / "gpu-pod", "NVIDIA_VISIBLE_DEVICES=all")) == 1
    assert create(node, bundle(tmp_path / "plain-pod")) == 0


def test_a_device_is_in_use_as_long_as_its_container_exists(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 9,14 -C")
    assert create(node, bundle(tmp_path / "pod", f"NVIDIA_VISIBLE_DEVICES={MIXED_3G}")) == 0
    assert node.smi("mig -dci -gi 1").returncode == 19
    assert node.smi("mig -dci -gi 5").returncode == 0
    assert node.run("nvidia-container-runtime", "delete", "--force", "pod-1").returncode == 0
    assert node.smi("mig -dci -gi 1").returncode == 0


def test_a_container_with_a_whole_gpu_uses_all_its_instances(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 9 -C")
    assert create(node, bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=0")) == 0
    assert node.smi("mig -dci").returncode == 19


def test_a_container_that_sees_all_uses_nothing(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 9 -C")
    assert create(node, bundle(tmp_path / "plugin", "NVIDIA_VISIBLE_DEVICES=all")) == 0
    assert node.smi("mig -dci").returncode == 0


def test_vector_add_computes_on_a_mig_device(node: FakeGpu, tmp_path: Path) -> None:
    node.said("mig -cgi 9 -C")
    made = bundle(tmp_path / "pod", f"NVIDIA_VISIBLE_DEVICES={MIXED_3G}")
    assert create(node, made) == 0
    enter(node, made)
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


def test_vector_add_needs_a_driver(node: FakeGpu) -> None:
    node.run("load-driver", "--unload")
    answer = node.run("vectorAdd")
    assert answer.returncode == 1
    assert "CUDA driver version is insufficient for CUDA runtime version" in answer.stderr


ENVIRONMENT = "accept-nvidia-visible-devices-envvar-when-unprivileged"
HANDED = {"cdi.k8s.io/nvidia-device-plugin_1": f"k8s.device-plugin.nvidia.com/gpu={MIXED_3G}"}
"""As NVIDIA's device plugin with the strategy cdi-annotations."""


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (None, True),  # the toolkit's default
        (f"#{ENVIRONMENT} = false\n", True),
        (f"{ENVIRONMENT} = true\n", True),
        (f"disable-require = false\n{ENVIRONMENT} = false\n\n[nvidia-container-cli]\n", False),
        (f"{ENVIRONMENT}=false # why\n", False),
        (f"[nvidia-container-cli]\n{ENVIRONMENT} = false\n", True),  # a key of a table is another one
    ],
)
def test_the_configuration_decides_whether_an_unprivileged_container_may_ask_by_environment(
    node: FakeGpu, tmp_path: Path, content: str | None, *, seen: bool
) -> None:
    if content is not None:
        configure(node, content)
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=all", capabilities=("CAP_CHOWN",))
    assert create(node, made) == 0
    assert ("/usr/bin/nvidia-smi" in mounts(made)) == seen


def test_a_privileged_container_may_always_ask_by_environment(node: FakeGpu, tmp_path: Path) -> None:
    configure(node, f"{ENVIRONMENT} = false\n")
    made = bundle(tmp_path / "pod", "NVIDIA_VISIBLE_DEVICES=all", capabilities=("CAP_CHOWN", "CAP_SYS_ADMIN"))
    assert create(node, made) == 0
    assert "/usr/bin/nvidia-smi" in mounts(made)


def test_no_container_starts_with_a_configuration_that_the_runtime_cannot_read(node: FakeGpu, tmp_path: Path) -> None:
    for number, content in enumerate((f"{ENVIRONMENT} = no\n", f"{ENVIRONMENT} = false\n" * 2)):
        configure(node, content)
        assert create(node, bundle(tmp_path / f"pod-{number}", "NVIDIA_VISIBLE_DEVICES=all")) == 1, content


@pytest.mark.parametrize("environment", [[], ["NVIDIA_VISIBLE_DEVICES=all"], ["NVIDIA_VISIBLE_DEVICES=void"]])
def test_devices_that_kubernetes_handed_over_come_before_the_environment(
    node: FakeGpu, tmp_path: Path, environment: list[str]
) -> None:
    node.said("mig -cgi 9,14 -C")
    configure(node, f"{ENVIRONMENT} = false\n")
    made = bundle(tmp_path / "pod", *environment, annotations={"io.kubernetes.cri.container-name": "c", **HANDED})
    assert create(node, made) == 0
    enter(node, made)
    assert [line.split()[1] for line in node.said("-L").splitlines() if "MIG-" in line] == ["3g.40gb"]


def test_a_container_with_a_device_nobody_lists_does_not_start(node: FakeGpu, tmp_path: Path) -> None:
    for number, device in enumerate(("vendor.example/gpu=0", "k8s.device-plugin.nvidia.com/gpu=MIG-0")):
        made = bundle(tmp_path / f"pod-{number}", annotations={"cdi.k8s.io/x": device})
        assert create(node, made) == 1
