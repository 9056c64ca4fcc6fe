"""A cluster in use, by the commands people type: its verifications pass, and keep no device from a user's pod. Then
time-slicing.

Each test takes up where the one before it ended.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox, wait_for_line
from lives import up_as_said

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(500)]

IMAGE = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
RECORD = "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
PLUGIN = ("-n", "gpu-operator", "ds/nvidia-device-plugin-daemonset", "-c", "nvidia-device-plugin")


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, with the dev stack up."""
    with own_sandbox(obstacle, "use") as person:
        person.up(CHECKOUT / "Pulumi.dev.yaml", seconds=400)
        yield person


def starts(person: CommandLine, name: str, resource: str) -> None:
    """A user starts a pod that holds a device."""
    container = {"name": name, "image": IMAGE, "command": ["sleep", "600"], "resources": {"limits": {resource: 1}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
    person.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))


def is_ready(person: CommandLine, name: str, seconds: int) -> None:
    person.kubectl("wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={seconds}s")


def changed(folder: Path, **sections: dict[str, Any]) -> Path:
    """The dev stack with other sections."""
    stack = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    stack["config"] |= {f"mig-k8s:{name}": section for name, section in sections.items()}
    file = folder / "Pulumi.dev.yaml"
    file.write_text(yaml.safe_dump(stack))
    return file


def wait_until_nothing_is_left(person: CommandLine) -> None:
    kinds = ("get", "priorityclasses,namespaces", "-o", "name")
    eventually("nothing is left", lambda: "mig-k8s-verify" in person.kubectl(*kinds), wanted=False, seconds=30)


def test_a_verification_passes_and_says_who_has_the_device_that_is_in_use(person: CommandLine) -> None:
    starts(person, "holder", "nvidia.com/mig-3g.40gb")
    is_ready(person, "holder", 60)
    said = person.run("verify")
    assert "verification: passed, 17 of 17 checks in " in said
    assert f"  {NODE}: 1 × 2g.20gb, 1 × 1g.10gb: proven by a pod\n" in said
    assert f"  {NODE}: 1 × 3g.40gb: in use by default/holder\n" in said
    assert int(re.findall(r"checks in (\d+) s", said)[0]) < 40
    wait_until_nothing_is_left(person)


def test_another_machine_would_tell_the_same_by_its_device_plugins_container(person: CommandLine) -> None:
    """What a verification runs on a machine other than its own, where a device is in use."""
    script = f"nvidia-smi -L; echo; cat {RECORD}"
    listing, _, record = person.kubectl("exec", *PLUGIN, "--", "sh", "-c", script).partition("\n{")
    assert listing.strip() == person.ssh("nvidia-smi -L").strip()
    assert "{" + record == person.ssh(f"sudo cat {RECORD}")


def test_an_up_that_verifies_passes_too_and_leaves_the_users_pod_running(person: CommandLine, tmp_path: Path) -> None:
    person.up(changed(tmp_path, verify={"timeoutMinutes": 21}))
    proofs = {device["profile"]: device["proof"] for device in person.output("verification")["devices"]}
    assert proofs == {
        "3g.40gb": "in use by default/holder",
        "2g.20gb": "proven by a pod",
        "1g.10gb": "proven by a pod",
    }
    (pod,) = person.get("pods")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def versions(person: CommandLine) -> list[str]:
    """The versions of the toolkit, the operator's chart and its device plugin, as they run."""
    toolkit = person.ssh("dpkg-query -W -f '${Version}' nvidia-container-toolkit")
    (release,) = person.get("deployments", "-n", "gpu-operator", "-l", "app=gpu-operator")["items"]
    (plugin,) = person.get("pods", "-n", "gpu-operator", "-l", "app=nvidia-device-plugin-daemonset")["items"]
    images = [each["spec"]["containers"][0]["image"] for each in (release["spec"]["template"], plugin)]
    return [toolkit, *(image.rpartition(":")[2] for image in images)]


def test_an_older_toolkit_and_chart_and_back_again_cost_no_pod_and_no_restart(
    person: CommandLine, tmp_path: Path
) -> None:
    """The way back from a newer release that disappoints is to write the older one."""

    def kept() -> list[str]:
        pod = person.get("pod", "holder")["status"]["containerStatuses"][0]
        return [pod["containerID"], str(pod["restartCount"]), person.ssh("systemctl show -P MainPID rke2-server")]

    before = kept()
    older = changed(tmp_path, toolkit={"version": "1.19.1-1"}, gpuOperator={"version": "v26.3.2"})
    up_as_said(person, older, seconds=400)
    assert versions(person) == ["1.19.1-1", "v26.3.2", "v0.19.2"]
    assert person.output("verification")["passed"] is True
    assert kept() == before
    up_as_said(person, changed(tmp_path), seconds=400)
    assert versions(person) == ["1.20.2-1", "v26.7.0", "v0.20.0"]
    assert person.output("verification")["passed"] is True
    assert kept() == before


def test_a_pod_that_needs_a_device_of_the_verification_runs_within_seconds(person: CommandLine) -> None:
    with person.started("ssh", NODE, "sudo mig-verify --again") as verification:
        wait_for_line(verification, "a pod that requests nothing has to see no device", 60)  # all devices are held
        starts(person, "taker", "nvidia.com/mig-2g.20gb")
        begun = time.monotonic()
        is_ready(person, "taker", 20)
        seconds = time.monotonic() - begun
        said, _ = verification.communicate(timeout=90)
    assert verification.returncode == 0, said
    assert seconds < 15
    wait_until_nothing_is_left(person)


def test_with_no_device_free_it_passes(person: CommandLine) -> None:
    starts(person, "third", "nvidia.com/mig-1g.10gb")
    is_ready(person, "third", 30)
    said = person.run("verify")
    assert "verification: passed, " in said
    for profile, pod in (("3g.40gb", "holder"), ("2g.20gb", "taker"), ("1g.10gb", "third")):
        assert f"  {NODE}: 1 × {profile}: in use by default/{pod}\n" in said
    assert "proven by a pod" not in said


def test_devices_that_are_shared_by_time_slicing_are_proven_replica_by_replica(
    person: CommandLine, tmp_path: Path
) -> None:
    person.kubectl("delete", "pod", "holder", "taker", "third", "--now")
    text = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/mig-1g.10gb, replicas: 3}]}}\n"
    config = {"create": True, "name": "time-slicing", "default": "any", "data": {"any": text}}
    said = person.up(changed(tmp_path, gpuOperator={"values": {"devicePlugin": {"config": config}}}))
    assert f"  {NODE}: 1 × 3g.40gb, 1 × 2g.20gb, 1 × 1g.10gb: proven by a pod\n" in said
    assert person.gpu_resources()["nvidia.com/mig-1g.10gb"] == "3"
    devices = person.output("verification")["devices"]
    assert sorted(device["profile"] for device in devices) == ["1g.10gb", "1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]
    assert len({device["uuid"] for device in devices}) == 3

    starts(person, "one-of-three", "nvidia.com/mig-1g.10gb")
    is_ready(person, "one-of-three", 60)
    said = person.run("verify")
    assert f"  {NODE}: 1 × 1g.10gb: in use by default/one-of-three\n" in said


def test_the_other_kind_of_kernel_modules_costs_one_reboot_for_which_pods_are_asked(
    person: CommandLine, tmp_path: Path
) -> None:
    """apt removes what is held of the one kind for the other."""

    def modules() -> str:
        return person.ssh("cat /proc/driver/nvidia/version")

    devices, boot_id = person.mig_devices(), person.boot_id()
    file = changed(tmp_path, driver={"openKernelModules": True})
    said = person.run("up", str(file), status=1, seconds=200)
    assert f"{NODE} must reboot for its driver, and pods run on it: default/one-of-three" in said
    assert "Open" not in modules()
    person.kubectl("delete", "pod", "one-of-three", "--now")
    person.up(file, seconds=400)
    assert person.boot_id() != boot_id
    assert modules().startswith("NVRM version: NVIDIA UNIX Open Kernel Module")
    assert person.output("verification")["passed"] is True
    assert sorted(person.mig_devices().values()) == sorted(devices.values())
