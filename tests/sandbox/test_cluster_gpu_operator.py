"""The GPU Operator's stand-in, installed by the real Helm on a machine with an A100.

The tests go through the tutorial's layouts on one living machine, in this order.
"""

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from administrator import Boot
from cluster import (
    NODE,
    Cluster,
    enable_mig,
    eventually,
    install_driver,
    install_rke2,
    install_toolkit,
    set_layout,
)

from machine.documents.expectations import ExpectedDevice
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import ImagePull, Pod, PodWithoutRequest
from sandbox.gpu_operator import release
from sandbox.mirror import apt_repositories, registry
from sandbox.mirror.packages import Ours
from sandbox.mirror.server import Mirror
from sandbox.rke2 import artifact
from sandbox.tools import toolchain

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

MIXED = {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-1g.10gb": "1"}
PLUGIN = "nvidia-device-plugin-daemonset"
SPECIFICATION = "/var/run/cdi/k8s.device-plugin.nvidia.com-gpu.json"
TOOLKIT = "/etc/nvidia-container-runtime/config.toml"
KIND = "k8s.device-plugin.nvidia.com/gpu"
ALL_DEVICES = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}


@pytest.fixture(scope="module")
def cluster(mirror: Mirror, boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """MIG mode on, 3g.40gb + 2g.20gb + 1g.10gb, RKE2, the operator with strategy mixed."""
    gpu = toolchain.gpu()
    apt_repositories.publish(mirror.root, Ours.built())
    registry.publish_cuda_sample(mirror.root, gpu)
    artifact.publish(mirror.root, toolchain.kubernetes())
    release.publish(mirror.root, toolchain.operator(), toolchain.gpu_inventory(), toolchain.helm())
    machine = boot(number=42)
    machine.wait_for_cloud_init()
    install_driver(machine)
    install_toolkit(machine)
    enable_mig(machine)
    set_layout(machine, "9,14,19")
    cluster = install_rke2(machine, tmp_path_factory.mktemp("gpu-operator"))
    cluster.install_gpu_operator("mig.strategy=mixed")
    eventually("the policy", lambda: state(cluster), "ready")
    return cluster


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[list[str]]:
    """Names of pods that are deleted after the test."""
    names: list[str] = []
    yield names
    if names:
        cluster.kubectl("delete", "pod", "--wait", "--ignore-not-found", *names)


@contextmanager
def restored(cluster: Cluster, file: str) -> Iterator[str]:
    """Whatever becomes of this file of the machine meanwhile, it is as before afterwards."""
    cluster.machine.run(f"sudo cp -a {file} /root/before")
    try:
        yield file
    finally:
        cluster.machine.run(f"sudo mv /root/before {file}")


def state(cluster: Cluster) -> str:
    return str(cluster.get("clusterpolicy", "cluster-policy").get("status", {}).get("state"))


def run_pod(
    cluster: Cluster, name: str, resource: str | None, runtime_class: str | None = "nvidia", **more: object
) -> None:
    """A pod that shows and tries its device. Without a resource it names all devices in its environment."""
    container: dict[str, Any] = {
        "name": "cuda",
        "image": registry.CUDA_SAMPLE,
        "command": ["sh", "-c", "nvidia-smi -L && /cuda-samples/vectorAdd && sleep 600"],
        **({"resources": {"limits": {resource: 1}}} if resource else {"env": [ALL_DEVICES]}),
        **more,
    }
    spec: dict[str, object] = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))


def devices_of(cluster: Cluster, pod: str) -> list[tuple[str, str]]:
    """Profile and UUID of the MIG devices a pod saw."""
    eventually(f"pod {pod} computes", lambda: "Test PASSED" in cluster.kubectl("logs", pod, check=False))
    return re.findall(r"MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[0-9a-f-]+)\)", cluster.kubectl("logs", pod))


def test_mixed_gives_every_profile_a_resource_and_whole_gpus_none(cluster: Cluster) -> None:
    assert cluster.gpu_resources() == MIXED


def test_mixed_gives_the_node_the_tutorials_labels(cluster: Cluster) -> None:
    labels = cluster.labels()

    wanted = {
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.family": "ampere",
        "nvidia.com/gpu.memory": "81920",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
        "nvidia.com/gpu.replicas": "0",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "0",
        "nvidia.com/gpu.deploy.device-plugin": "true",
        "nvidia.com/gpu.deploy.mig-manager": "true",
        "nvidia.com/cuda.driver.major": "580",
        "nvidia.com/cuda.driver.rev": "04",
        "nvidia.com/cuda.runtime.major": "13",
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/mig-3g.40gb.count": "1",
        "nvidia.com/mig-3g.40gb.engines.copy": "3",
        "nvidia.com/mig-3g.40gb.engines.decoder": "2",
        "nvidia.com/mig-3g.40gb.multiprocessors": "42",
        "nvidia.com/mig-3g.40gb.product": "NVIDIA-A100-80GB-PCIe-MIG-3g.40gb",
        "nvidia.com/mig-3g.40gb.slices.gi": "3",
        "nvidia.com/mig-2g.20gb.multiprocessors": "28",
        "nvidia.com/mig-1g.10gb.slices.ci": "1",
    }
    assert {name: labels.get(name) for name in wanted} == wanted


def test_three_pods_see_one_device_each_and_a_fourth_waits(cluster: Cluster, pods: list[str]) -> None:
    pods += ["mig-3g", "mig-2g", "mig-1g", "mig-1g-more"]
    for pod, profile in zip(pods, ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"), strict=True):
        run_pod(cluster, pod, f"nvidia.com/mig-{profile}")

    seen = [devices_of(cluster, pod) for pod in pods[:3]]
    assert [[profile for profile, _ in devices] for devices in seen] == [["3g.40gb"], ["2g.20gb"], ["1g.10gb"]]
    on_machine = re.findall(r"UUID: (MIG-[0-9a-f-]+)", cluster.machine.run("nvidia-smi -L"))
    assert sorted(uuid for devices in seen for _, uuid in devices) == sorted(on_machine)
    status = cluster.get("pod", "mig-1g-more")["status"]
    assert status["phase"] == "Pending"
    assert "Insufficient nvidia.com/mig-1g.10gb" in status["conditions"][0]["message"]


def capabilities_of(cluster: Cluster, profile: str) -> list[str]:
    """The device files of the only instance of a profile: 9 numbers for each GPU instance, from 3 on."""
    listed = cluster.machine.run("sudo nvidia-smi mig -lgi")
    found = re.search(rf"MIG {re.escape(profile)} +\d+ +(\d+) ", listed)
    assert found, listed
    first = 3 + 9 * int(found[1])
    return [f"nvidia-cap{first}", f"nvidia-cap{first + 1}"]


@pytest.mark.parametrize("runtime_class", ["nvidia", None])
def test_a_pod_has_the_files_of_its_device_the_drivers_library_and_nothing_else(
    cluster: Cluster, pods: list[str], runtime_class: str | None
) -> None:
    """By the specification that NVIDIA's container toolkit wrote, which containerd itself knows how to read."""
    pods += [name := f"files-by-{runtime_class or 'runc'}"]
    run_pod(cluster, name, "nvidia.com/mig-2g.20gb", runtime_class)
    devices_of(cluster, name)
    within = ("exec", name, "--", "sh", "-c")
    assert cluster.kubectl(*within, "ls /dev/nvidia-caps").split() == capabilities_of(cluster, "2g.20gb")
    others = cluster.kubectl(*within, "cd /dev && ls -d nvidia*").split()
    assert others == ["nvidia-caps", "nvidia-uvm", "nvidia-uvm-tools", "nvidia0", "nvidiactl"]
    library = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
    assert cluster.kubectl(*within, f"readlink {library}").strip() == "libnvidia-ml.so.580.159.04"
    assert "ModifyDeviceFiles: 0" in cluster.kubectl(*within, "cat /proc/driver/nvidia/params")


def test_the_api_server_knows_every_field_of_what_a_verification_makes(cluster: Cluster) -> None:
    """The verification itself has nothing checked; an unknown field would be dropped without a word."""
    kubectl = Mock()
    namespace = PodNamespace(kubectl, "mig-k8s-verify", registry.CUDA_SAMPLE, 60)
    namespace.make()
    device = ExpectedDevice("mig", "nvidia.com/mig-1g.10gb", "1g.10gb")
    namespace.create([Pod(NODE, "mig", device), PodWithoutRequest(NODE, "sees"), ImagePull(NODE)])
    (namespaced, admitted), *pods = (call.args[0] for call in kubectl.create.call_args_list)

    def make(item: dict[str, Any], *options: str, check: bool = True) -> str:
        return cluster.kubectl("create", "-f", "-", "--validate=strict", *options, stdin=json.dumps(item), check=check)

    make(admitted)
    try:
        known = [make(item, "--dry-run=server") for item in (namespaced, *itertools.chain.from_iterable(pods))]
        assert known == [
            "namespace/mig-k8s-verify created (server dry run)",
            "pod/mig created (server dry run)",
            "pod/sees created (server dry run)",
            f"pod/image-pull-{NODE} created (server dry run)",
        ]
        misspelt = {**pods[0][0], "spec": {**pods[0][0]["spec"], "toleration": []}}
        assert 'unknown field "spec.toleration"' in make(misspelt, "--dry-run=server", check=False)
    finally:
        cluster.kubectl("delete", "priorityclass", "mig-k8s-verify")


def test_what_a_pod_holds_is_in_use_until_it_is_gone(cluster: Cluster, pods: list[str]) -> None:
    pods += ["holder"]
    run_pod(cluster, "holder", "nvidia.com/mig-1g.10gb")
    [(_, uuid)] = devices_of(cluster, "holder")
    eventually("it alone holds a device", lambda: cluster.machine.run("sudo cat /run/gpu/clients/*"), uuid)
    cluster.kubectl("delete", "pod", "holder", "--wait")
    eventually("nobody uses it", lambda: cluster.machine.run("sudo ls /run/gpu/clients"), "")


def test_without_its_entry_in_the_cdi_specification_no_pod_starts(cluster: Cluster, pods: list[str]) -> None:
    pods += ["without-entry"]
    uuid = re.findall(r"MIG 1g.10gb .*(MIG-[0-9a-f-]+)", cluster.machine.run("nvidia-smi -L"))[0]
    with restored(cluster, SPECIFICATION) as specification:
        cluster.machine.run(f"sudo sed -i 's/{uuid}/MIG-of-nobody/' {specification}")
        run_pod(cluster, "without-entry", "nvidia.com/mig-1g.10gb")
        eventually("the refusal", lambda: f"unresolvable CDI devices {KIND}={uuid}" in cluster.events("without-entry"))


def test_without_the_file_of_its_capability_no_pod_starts(cluster: Cluster, pods: list[str]) -> None:
    pods += ["without-file"]
    _, compute = capabilities_of(cluster, "1g.10gb")
    with restored(cluster, f"/dev/nvidia-caps/{compute}") as file:
        cluster.machine.run(f"sudo rm {file}")
        run_pod(cluster, "without-file", "nvidia.com/mig-1g.10gb")
        eventually("the refusal", lambda: file in cluster.events("without-file"))


@pytest.mark.parametrize(("accepted", "privileged", "seen"), [(True, False, 3), (False, False, 0), (False, True, 3)])
def test_a_pod_that_names_all_devices_in_its_environment_sees_them_where_the_toolkit_lets_it(
    cluster: Cluster, pods: list[str], *, accepted: bool, privileged: bool, seen: int
) -> None:
    """The default is true; the program's own is false, which leaves it to privileged ones."""
    pods += [name := f"by-environment-{accepted}-{privileged}".lower()]
    key, value = "accept-nvidia-visible-devices-envvar-when-unprivileged", str(accepted).lower()
    look = ["sh", "-c", "nvidia-smi -L; echo that is all; sleep 600"]
    with restored(cluster, TOOLKIT) as file:
        cluster.machine.run(f"sudo sed -i 's/^#*{key} = .*/{key} = {value}/' {file}")
        assert f"{key} = {value}" in cluster.machine.run(f"cat {file}").splitlines()
        run_pod(cluster, name, None, command=look, securityContext={"privileged": privileged})
        eventually(f"pod {name} has looked", lambda: "that is all" in cluster.kubectl("logs", name, check=False))
        assert cluster.kubectl("logs", name).count("UUID: MIG-") == seen


def test_the_kubelets_restart_does_not_lose_the_resources(cluster: Cluster) -> None:
    cluster.machine.run("sudo systemctl restart rke2-server")

    eventually("allocatable", cluster.gpu_resources, MIXED)


def test_a_paused_client_stops_and_comes_back(cluster: Cluster) -> None:
    label = "nvidia.com/gpu.deploy.device-plugin"
    cluster.kubectl("label", "--overwrite", "node", NODE, f"{label}=paused-for-mig-change")
    selector = ("get", "pods", "-n", "gpu-operator", "-l", f"app={PLUGIN}", "-o", "name")
    eventually("the plugin has stopped", lambda: cluster.kubectl(*selector), "")
    eventually("its devices are gone", cluster.gpu_resources, {})
    assert cluster.labels()[label] == "paused-for-mig-change"  # the operator leaves it alone

    cluster.kubectl("label", "--overwrite", "node", NODE, f"{label}=true")

    eventually("allocatable", cluster.gpu_resources, MIXED)


def test_a_new_layout_is_seen_by_a_restarted_plugin_only(cluster: Cluster) -> None:
    set_layout(cluster.machine, "19,19,19,19,19,19,19")
    eventually("the labels", lambda: cluster.labels().get("nvidia.com/mig-1g.10gb.count"), "7")
    assert cluster.gpu_resources() == MIXED
    assert "nvidia.com/mig-3g.40gb.count" not in cluster.labels()

    cluster.kubectl("delete", "pod", "-n", "gpu-operator", "-l", f"app={PLUGIN}")

    eventually("allocatable", cluster.gpu_resources, {"nvidia.com/mig-1g.10gb": "7"})


def test_single_makes_seven_gpus_of_seven_devices(cluster: Cluster, pods: list[str]) -> None:
    cluster.install_gpu_operator("mig.strategy=single")

    eventually("allocatable", cluster.gpu_resources, {"nvidia.com/gpu": "7"})
    wanted = {
        "nvidia.com/gpu.count": "7",
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb",
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.multiprocessors": "14",
        "nvidia.com/gpu.slices.gi": "1",
        "nvidia.com/gpu.slices.ci": "1",
        "nvidia.com/gpu.engines.copy": "1",
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/mig-1g.10gb.count": None,
    }
    eventually("the labels", lambda: {name: cluster.labels().get(name) for name in wanted}, wanted)
    pods += [f"mig-single-{number}" for number in range(7)]
    for pod in pods:
        run_pod(cluster, pod, "nvidia.com/gpu")
    seen = [device for pod in pods for device in devices_of(cluster, pod)]
    assert [profile for profile, _ in seen] == ["1g.10gb"] * 7
    assert len({uuid for _, uuid in seen}) == 7


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ("9,14,19", "more than one MIG device type present on node"),
        ("", "device 0 has no MIG devices configured"),
    ],
)
def test_single_without_one_profile_fails_and_says_why(cluster: Cluster, layout: str, words: str) -> None:
    set_layout(cluster.machine, layout)
    cluster.kubectl("delete", "pod", "-n", "gpu-operator", "-l", f"app={PLUGIN}")

    plugin_log = ("logs", "-n", "gpu-operator", f"daemonset/{PLUGIN}")
    eventually("the plugin's reason", lambda: words in cluster.kubectl(*plugin_log, check=False))
    eventually("the product", lambda: cluster.labels()["nvidia.com/gpu.product"], "NVIDIA-A100-80GB-PCIe-MIG-INVALID")
    assert cluster.labels()["nvidia.com/gpu.count"] == "0"
    eventually("allocatable", cluster.gpu_resources, {})
    eventually("the policy", lambda: state(cluster), "notReady")


def test_none_offers_the_whole_gpu_whatever_its_mode(cluster: Cluster) -> None:
    cluster.install_gpu_operator("mig.strategy=none")

    eventually("allocatable", cluster.gpu_resources, {"nvidia.com/gpu": "1"})
    wanted = {
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/mig.strategy": None,
        "nvidia.com/mig.capable": "true",
    }
    eventually("the labels", lambda: {name: cluster.labels().get(name) for name in wanted}, wanted)
    eventually("the policy", lambda: state(cluster), "ready")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "mig.strategy=mixd",
            'spec.mig.strategy: Unsupported value: "mixd": supported values: "none", "single", "mixed"',
        ),
        (
            "migManager.config.default=all-1g.10gb",
            'spec.migManager.config.default: Unsupported value: "all-1g.10gb": supported values: "all-disabled", ""',
        ),
        ("gfd.enabled=7", "spec.gfd.enabled: Invalid value"),
    ],
)
def test_the_api_server_refuses_what_the_policy_may_not_say(cluster: Cluster, setting: str, words: str) -> None:
    said = cluster.install_gpu_operator(setting, check=False)

    assert words in said.replace("\\", "")


def test_mig_manager_reboots_for_a_mode_that_is_only_pending_when_it_may(cluster: Cluster) -> None:
    """No stack of ours lets it; NVIDIA's does so with WITH_REBOOT."""
    boot_id, label = cluster.machine.boot_id(), "nvidia.com/mig.config"
    repository = f"http://{cluster.machine.sandbox.mirror_address}/charts"
    values = (
        "--set",
        "migManager.enabled=true",
        "--set-json",
        'migManager.env=[{"name":"WITH_REBOOT","value":"true"}]',
    )
    cluster.kubectl("label", "node", NODE, f"{label}=all-disabled")
    where = ("gpu-operator", "--repo", repository, "--version", "v26.7.0", "-n", "gpu-operator")
    cluster.helm("upgrade", "gpu-operator", *where, "--reuse-values", *values)

    cluster.machine.wait_for_reboot(boot_id)
    cluster.machine.run("sudo modprobe nvidia")
    eventually("the API server", lambda: cluster.kubectl("get", "--raw", "/readyz", check=False), "ok", seconds=120)

    eventually("the state", lambda: cluster.labels().get(f"{label}.state"), "success")
    modes = cluster.machine.run("nvidia-smi --query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader")
    assert modes.split() == ["Disabled,", "Disabled"]
    eventually("allocatable", cluster.gpu_resources, {"nvidia.com/gpu": "1"})


def test_uninstalling_takes_the_operands_with_it(cluster: Cluster) -> None:
    cluster.helm("uninstall", "gpu-operator", "-n", "gpu-operator", "--wait")

    eventually("the namespace is empty", lambda: cluster.get("pods,daemonsets", "-n", "gpu-operator")["items"], [])
    assert json.loads(cluster.kubectl("get", "clusterpolicy", "-o", "json"))["items"] == []
