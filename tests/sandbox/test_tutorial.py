"""The tutorial from its first line to its last on one living machine: only the stack file changes, and `pulumi up`.

The tests are its steps in its order, each taking up where the one before it ended; docs/tutorial.md maps them.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tutorial
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox
from lives import up_as_said

from sandbox.mirror import registry
from sandbox.mirror.server import Mirror

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

WHOLE_GPU = r"GPU 0: NVIDIA A100 80GB PCIe \(UUID: GPU-[0-9a-f-]{36}\)\n"
DEVICE = r"  MIG {} +Device +\d: \(UUID: (MIG-[0-9a-f-]{{36}})\)\n"


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, with the tutorial's first stack up, and its images in the registry."""
    with own_sandbox(obstacle, "tutorial") as person:
        person.up(CHECKOUT / "examples/none.yaml")
        bash = {"/bin/bash": (b'#!/bin/sh\nexec /bin/sh "$@"\n', 0o755)}
        for image in (tutorial.CUDA_10, tutorial.CUDA_11):
            registry.publish(Mirror(person.sandbox).root, image, bash)
        yield person


def reboots(person: CommandLine) -> int:
    """The reboots of the machine since it was made, as its supervisor noted them."""
    (vm_id,) = person.sandbox.machine_ids
    console = person.sandbox.machine_directory(vm_id) / "console.log"
    return console.read_text(errors="replace").splitlines().count("reboot")


def described(person: CommandLine) -> dict[str, dict[str, str]]:
    """NVIDIA's resources in `kubectl describe node`. A resource that is gone stays at 0."""
    said = person.kubectl("describe", "node")
    parts = {part: said.split(f"\n{part}:\n")[1] for part in ("Capacity", "Allocatable")}
    lines = {part: re.match(r"(?:  .*\n)*", text) for part, text in parts.items()}
    return {
        part: {name: count for name, count in re.findall(r"(nvidia\S+): +(\d+)", found[0]) if count != "0"}
        for part, found in lines.items()
        if found
    }


def labels(person: CommandLine) -> dict[str, str]:
    """NVIDIA's labels but for the time they were made."""
    found = person.labels()
    assert found.pop("nvidia.com/gfd.timestamp").isdigit()
    return found


def completed(person: CommandLine, name: str, manifest: str) -> str:
    """Apply a Job as the tutorial does, look at it as the tutorial does; its log."""
    assert person.kubectl("apply", "-f", "-", stdin=manifest) == f"job.batch/{name} created\n"
    person.kubectl("wait", "--for=condition=complete", f"job/{name}", "--timeout=60s")
    said = person.kubectl("get", "all")
    assert re.search(rf"^job.batch/{name} +Complete +1/1 ", said, re.M), said
    (pod,) = re.findall(rf"^pod/({name}-\w+) +0/1 +Completed +0 ", said, re.M)
    log = person.kubectl("logs", f"pod/{pod}")
    person.kubectl("delete", "job", name)
    return log


def logs_of_pods(person: CommandLine, pods: dict[str, str]) -> list[str]:
    """Apply the tutorial's pods (name → resource), read their logs, delete them."""
    for name, resource in pods.items():
        manifest = tutorial.POD.substitute(name=name, container=name.replace(".", "-"), resource=resource)
        assert person.kubectl("apply", "-f", "-", stdin=manifest) == f"pod/{name} created\n"
    names = [f"pod/{name}" for name in pods]
    person.kubectl("wait", "--for=condition=Ready", *names, "--timeout=60s")
    eventually("their logs", lambda: all(" Device " in person.kubectl("logs", name) for name in pods))
    logs = [person.kubectl("logs", name) for name in pods]
    said = person.kubectl("delete", *names, "--now")  # their `sleep infinity` ignores SIGTERM
    assert re.findall('pod "(.+?)"', said) == list(pods)
    return logs


def test_step_1_the_driver_is_pinned_and_answers_without_a_reboot(person: CommandLine) -> None:
    kernel = os.uname().release
    packages = [f"linux-modules-nvidia-580-server-{kernel}"]
    packages += ["nvidia-headless-no-dkms-580-server", "nvidia-utils-580-server"]
    versions = person.ssh(f"dpkg-query -W -f '${{Version}}\\n' {' '.join(packages)}").splitlines()
    assert versions == [f"{kernel}.1+1", *["580.159.04-0ubuntu0.24.04.1"] * 2]
    assert set(packages) <= set(person.ssh("apt-mark showhold").split())
    assert tutorial.SMI in person.ssh("nvidia-smi")
    assert reboots(person) == 0


def test_step_2_the_container_toolkit_is_pinned_and_from_a_signed_source(person: CommandLine) -> None:
    packages = [
        "libnvidia-container-tools",
        "libnvidia-container1",
        "nvidia-container-toolkit",
        "nvidia-container-toolkit-base",
    ]
    versions = person.ssh(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(packages)}")
    assert versions == "".join(f"{package} 1.20.2-1\n" for package in packages)
    assert set(packages) <= set(person.ssh("apt-mark showhold").split())
    source = person.ssh("cat /etc/apt/sources.list.d/nvidia-container-toolkit.list")
    assert source.startswith("deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg] http://")


def test_step_3_rke2_runs_with_its_configuration_and_the_node_is_ready(person: CommandLine) -> None:
    assert person.ssh("hostname") == "mlops-k8s-master\n"
    written = yaml.safe_load(person.ssh("sudo cat /etc/rancher/rke2/config.yaml"))
    assert written["cni"] == "calico"
    assert written["tls-san"][0] == "mlops-k8s-master"
    assert written["write-kubeconfig-mode"] == "0600"
    status = person.ssh("systemctl status rke2-server")
    assert "Loaded: loaded (/usr/local/lib/systemd/system/rke2-server.service; enabled" in status
    assert "Active: active (running)" in status
    assert person.ssh("rke2 --version").startswith("rke2 version v1.36.4+rke2r1 ")
    nodes = person.kubectl("get", "nodes")
    assert re.search(rf"^{NODE} +Ready +control-plane,etcd +\S+ +v1\.36\.4\+rke2r1$", nodes, re.M), nodes


def test_step_3_containerd_has_the_nvidia_runtime(person: CommandLine) -> None:
    written = person.ssh("sudo cat /var/lib/rancher/rke2/agent/etc/containerd/config.toml")
    # What a fake driver needs besides: a real one is in every container, because the kernel is everywhere the same.
    written = re.sub(r"^  base_runtime_spec = .*\n", "", written, flags=re.M)
    assert tutorial.CONTAINERD_RUNTIME in written


def test_step_4_the_gpu_operator_runs_without_driver_and_toolkit(person: CommandLine) -> None:
    values = person.get("clusterpolicy", "cluster-policy")["spec"]
    assert (values["driver"]["enabled"], values["toolkit"]["enabled"]) == (False, False)
    assert values["migManager"]["enabled"] is False
    said = person.kubectl("get", "pods", "-n", "gpu-operator", "--no-headers")
    running = re.findall(r"^(\S+?)(?:-[0-9a-f]{8,10})?-\w{5} +1/1 +Running ", said, re.M)
    assert sorted(running) == [
        "gpu-feature-discovery",
        "gpu-operator",
        "gpu-operator-node-feature-discovery-worker",
        "nvidia-device-plugin-daemonset",
        "nvidia-operator-validator",
    ], said


def test_step_5_the_runtime_class_is_there_and_gpu_test_completes(person: CommandLine) -> None:
    assert re.search(r"^nvidia +nvidia +\S+$", person.kubectl("get", "runtimeclass"), re.M)
    log = completed(person, "gpu-test", tutorial.GPU_TEST)
    assert tutorial.SMI in log
    assert log.splitlines()[1:] == person.ssh("nvidia-smi").splitlines()[1:]


def test_none_offers_the_whole_gpu(person: CommandLine) -> None:
    assert person.get("clusterpolicy", "cluster-policy")["spec"]["mig"]["strategy"] == "none"
    assert described(person) == {"Capacity": {"nvidia.com/gpu": "1"}, "Allocatable": {"nvidia.com/gpu": "1"}}
    assert labels(person) == tutorial.NONE_LABELS
    log = completed(person, "mig-none-example", tutorial.NONE_JOB.substitute(name="mig-none-example"))
    assert re.fullmatch(WHOLE_GPU, log)
    assert log == person.ssh("nvidia-smi -L")


def test_none_with_mig_enabled_changes_nothing_that_kubernetes_sees(person: CommandLine) -> None:
    gpu = person.ssh("nvidia-smi -L")
    up_as_said(person, CHECKOUT / "examples/none-mig-on.yaml")
    assert reboots(person) == 1
    assert person.ssh("nvidia-smi --query-gpu=mig.mode.current --format=csv,noheader") == "Enabled\n"
    assert described(person) == {"Capacity": {"nvidia.com/gpu": "1"}, "Allocatable": {"nvidia.com/gpu": "1"}}
    # The tutorial has replicas 1: since then, whole GPUs in MIG mode count none.
    assert labels(person) == tutorial.NONE_LABELS | {"nvidia.com/gpu.replicas": "0"}
    log = completed(person, "mig-none-example2", tutorial.NONE_JOB.substitute(name="mig-none-example2"))
    assert log == gpu


def test_single_begins_with_mig_enabled_and_without_devices(person: CommandLine) -> None:
    assert tutorial.NO_DEVICES in person.ssh("nvidia-smi")
    profiles = person.ssh("nvidia-smi mig -i 0 -lgip")
    assert "".join(re.findall(r"^\|   0  MIG .*\n", profiles, re.M)) == tutorial.PROFILES


def test_single_offers_seven_devices_as_gpus(person: CommandLine) -> None:
    up_as_said(person, CHECKOUT / "examples/single.yaml")
    assert reboots(person) == 1  # the mode's: a layout needs none
    assert re.fullmatch(WHOLE_GPU + DEVICE.format(r"1g\.10gb") * 7, person.ssh("nvidia-smi -L"))
    assert described(person) == {"Capacity": {"nvidia.com/gpu": "7"}, "Allocatable": {"nvidia.com/gpu": "7"}}
    assert labels(person) == tutorial.SINGLE_LABELS


def test_single_gives_each_of_seven_pods_a_device_of_its_own(person: CommandLine) -> None:
    logs = logs_of_pods(person, {f"mig-single-example-{i}": "nvidia.com/gpu" for i in range(1, 8)})
    seen = [re.fullmatch(WHOLE_GPU + DEVICE.format(r"1g\.10gb"), log) for log in logs]
    assert [match for match in seen if match is None] == [], logs
    assert sorted(match[1] for match in seen if match) == sorted(person.mig_devices())


def test_mixed_offers_a_resource_for_each_profile(person: CommandLine) -> None:
    before = person.mig_devices()
    up_as_said(person, CHECKOUT / "Pulumi.dev.yaml")
    assert reboots(person) == 1
    three = "".join(DEVICE.format(profile) for profile in (r"3g\.40gb", r"2g\.20gb", r"1g\.10gb"))
    listed = re.fullmatch(WHOLE_GPU + three, person.ssh("nvidia-smi -L"))
    assert listed is not None
    assert listed[3] in before, "the instance that could stay was removed"
    offered = {"nvidia.com/mig-1g.10gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-3g.40gb": "1"}
    seen = described(person)
    seen["Capacity"].pop("nvidia.com/gpu", None)  # the kubelet keeps what a plugin no longer offers for five minutes
    assert seen == {"Capacity": offered, "Allocatable": offered}
    found = labels(person)
    for label, (least, most) in tutorial.MIXED_MEMORY.items():
        assert least <= int(found.pop(label)) <= most, label
    assert found == tutorial.MIXED_LABELS


def test_the_tutorials_own_name_of_a_mixed_container_is_refused(person: CommandLine, tmp_path: Path) -> None:
    name = "mig-mixed-example-1g.10gb"
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(tutorial.POD.substitute(name=name, container=name, resource="nvidia.com/mig-1g.10gb"))
    assert "must not contain dots" in person.run("kubectl", "apply", "-f", str(manifest), status=1)


def test_mixed_gives_each_of_three_pods_the_device_it_asked_for(person: CommandLine) -> None:
    profiles = ("1g.10gb", "2g.20gb", "3g.40gb")
    pods = {f"mig-mixed-example-{profile}": f"nvidia.com/mig-{profile}" for profile in profiles}
    logs = logs_of_pods(person, pods)
    for profile, log in zip(profiles, logs, strict=True):
        assert re.fullmatch(WHOLE_GPU + DEVICE.format(re.escape(profile)), log), log
    assert sorted(re.findall("MIG-[0-9a-f-]{36}", "".join(logs))) == sorted(person.mig_devices())
