"""MIG Manager as the owner of the instances, and enabled by mistake where the host owns them; on one machine.

Every change but the hand-made ones is one of the stack file. Each test takes up where the one before it ended.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox

from sandbox.mirror import registry
from sandbox.tools import toolchain

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
FIRST = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 2}
SECOND = {"2g.20gb": 3, "1g.10gb": 1}
TUTORIAL = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, with nothing up."""
    with own_sandbox(obstacle, "manager") as person:
        yield person


def up(
    person: CommandLine,
    folder: Path,
    devices: dict[str, int] | None,
    *,
    owner: str = "operator",
    on_change: str = "refuse",
    verify: bool = False,
    status: int = 0,
) -> str:
    """`up` of the example with these devices; None: MIG mode off. Without a preview from the second on."""
    file = person.root / "stack.yaml"
    is_first = not file.exists()
    stack = yaml.safe_load((CHECKOUT / "examples/operator-owned.yaml" if is_first else file).read_text())
    config = stack["config"]
    config["mig-k8s:mig"] |= {"owner": owner, "onChange": on_change}
    (pool,) = config["mig-k8s:nodePools"]
    pool |= {"name": NODE, "migDevices": devices}
    if devices is None:
        del pool["migDevices"]
    config["mig-k8s:verify"] = {"enabled": verify}
    command = ["pulumi", "up", "--yes", "--skip-preview", "--suppress-outputs", "--config-file", str(file)]
    if is_first:
        file = folder / "stack.yaml"
        command = ["up", str(file)]
    file.write_text(yaml.safe_dump(stack))
    return person.run(*command, status=status, seconds=240)


def state(person: CommandLine) -> tuple[str | None, str | None]:
    labels = person.labels()
    return labels.get(CONFIG), labels.get(STATE)


def on_machine(person: CommandLine) -> dict[str, int]:
    """Profile → number of the machine's MIG devices; none while it boots or its driver is not loaded yet."""
    listed = re.findall(r"^  MIG (\S+)", person.ssh("nvidia-smi -L", statuses=(0, 9, 255)), re.M)
    return {profile: listed.count(profile) for profile in sorted(set(listed), reverse=True)}


def reboots(person: CommandLine) -> list[str]:
    """Ids of the boots the machine's journal knows of."""
    return person.ssh("sudo journalctl --list-boots -o json -q | tr ',' '\\n' | grep boot_id").splitlines()


def hold(person: CommandLine, name: str, resource: str) -> None:
    """A pod that takes a device and keeps it."""
    container = {
        "name": "cuda",
        "image": registry.CUDA_SAMPLE,
        "command": ["sh", "-c", "sleep 600"],
        "resources": {"limits": {resource: 1}},
    }
    spec = {"runtimeClassName": "nvidia", "terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    person.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(pod))
    eventually(f"pod {name}", lambda: person.get("pod", name)["status"].get("phase"), "Running")


def enable_mig_manager(person: CommandLine, folder: Path, *, enabled: bool) -> None:
    """What somebody does by hand, beside the program."""
    chart = ("gpu-operator", "--repo", f"{person.sandbox.mirror_url}/charts", "--version", "v26.7.0")
    home = dict.fromkeys(("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME"), str(folder))
    environment = {**os.environ, **home, "KUBECONFIG": str(person.root / "kubeconfig")}
    command = [str(toolchain.helm()), "upgrade", "gpu-operator", *chart, "-n", "gpu-operator", "--reuse-values"]
    command += ["--set", f"migManager.enabled={str(enabled).lower()}", "--wait", "--timeout", "60s"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def verified(person: CommandLine, seconds: int) -> dict[str, Any]:
    """The report of `mig-verify`, run by hand with what the stack expects."""
    resources = json.loads(person.run("pulumi", "stack", "export"))["deployment"]["resources"]
    (run,) = [each for each in resources if each["urn"].endswith("::verification-run")]
    expectations = {**json.loads(run["inputs"]["stdin"]), "timeoutSeconds": seconds}
    said = person.ssh("sudo mig-verify --json", stdin=json.dumps(expectations), statuses=(0, 1))
    report: dict[str, Any] = json.loads(said)
    return report


def test_a_machine_is_made_with_mig_mode_off_and_mig_manager_leaves_it_so(person: CommandLine, tmp_path: Path) -> None:
    said = up(person, tmp_path, None)

    assert state(person) == ("mig-k8s-mlops-k8s-master-bf9e0cf0", "success"), said
    assert on_machine(person) == {}
    eventually("allocatable", person.gpu_resources, {"nvidia.com/gpu": "1"})


def test_mig_turned_on_takes_the_machines_one_reboot_and_is_verified(person: CommandLine, tmp_path: Path) -> None:
    up(person, tmp_path, FIRST, verify=True)

    report = person.output("verification")
    assert report["passed"] is True
    assert sorted(device["profile"] for device in report["devices"]) == ["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]
    assert sorted(device["uuid"] for device in report["devices"]) == sorted(person.mig_devices())
    assert state(person) == ("mig-k8s-mlops-k8s-master-f7997591", "success")
    assert len(reboots(person)) == 2


def test_a_changed_layout_is_refused_before_anything_changes_when_a_pod_holds_a_device(
    person: CommandLine, tmp_path: Path
) -> None:
    hold(person, "training", "nvidia.com/mig-3g.40gb")
    before = person.mig_devices()

    said = up(person, tmp_path, SECOND, status=1)

    assert "pods hold devices that must go: default/training (3g.40gb at " in said
    assert person.mig_devices() == before
    assert state(person) == ("mig-k8s-mlops-k8s-master-f7997591", "success")


def test_a_changed_layout_is_applied_when_pods_may_be_drained(person: CommandLine, tmp_path: Path) -> None:
    config = person.ssh("sudo sha256sum /etc/rancher/rke2/config.yaml")

    up(person, tmp_path, SECOND, on_change="drain")

    assert on_machine(person) == SECOND
    assert state(person) == ("mig-k8s-mlops-k8s-master-31ca99bf", "success")
    assert "training" not in [pod["metadata"]["name"] for pod in person.get("pods")["items"]]
    eventually("allocatable", person.gpu_resources, {"nvidia.com/mig-2g.20gb": "3", "nvidia.com/mig-1g.10gb": "1"})
    assert person.ssh("sudo sha256sum /etc/rancher/rke2/config.yaml") == config
    assert len(reboots(person)) == 2


def test_a_label_that_names_no_layout_fails_without_harm_and_the_right_one_is_served(person: CommandLine) -> None:
    instances = person.mig_devices()

    person.kubectl("label", "--overwrite", "node", NODE, f"{CONFIG}=no-such-layout")
    eventually("the state", lambda: state(person), ("no-such-layout", "failed"))
    assert person.mig_devices() == instances

    person.kubectl("label", "--overwrite", "node", NODE, f"{CONFIG}=mig-k8s-mlops-k8s-master")
    eventually("the state", lambda: state(person), ("mig-k8s-mlops-k8s-master", "success"))
    assert person.mig_devices() == instances


def test_the_host_takes_over_with_a_layout_of_its_own(person: CommandLine, tmp_path: Path) -> None:
    up(person, tmp_path, TUTORIAL, owner="host", verify=True)

    assert on_machine(person) == TUTORIAL
    manager = ("pods", "-n", "gpu-operator", "-l", "app=nvidia-mig-manager")
    eventually("no MIG Manager", lambda: person.get(*manager)["items"], [])


def test_enabled_by_mistake_it_removes_the_hosts_instances_and_the_verification_says_so(
    person: CommandLine, tmp_path: Path
) -> None:
    person.kubectl("label", "node", NODE, f"{CONFIG}-", f"{STATE}-")  # as on a node that always was the host's

    enable_mig_manager(person, tmp_path, enabled=True)

    eventually("the removal", lambda: state(person), ("all-disabled", "failed"))  # failed: it may not reboot
    assert on_machine(person) == {}
    report = verified(person, seconds=3)
    assert report["passed"] is False
    (check,) = [check for check in report["checks"] if check["name"] == "allocatable"]
    assert check["expected"] == "nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1, nvidia.com/mig-3g.40gb: 1"
    assert check["remedy"].startswith("MIG Manager removed the instances (nvidia.com/mig.config=all-disabled, failed)")


def test_the_remedy_for_the_removed_instances_helps(person: CommandLine, tmp_path: Path) -> None:
    enable_mig_manager(person, tmp_path, enabled=False)
    person.kubectl("label", "node", NODE, f"{CONFIG}-")

    person.ssh("sudo systemctl reboot", statuses=(0, 255))

    eventually("the instances", lambda: on_machine(person), TUTORIAL, seconds=90)
    assert verified(person, seconds=60)["passed"] is True


def test_mig_manager_takes_over_without_touching_devices_that_are_the_same(person: CommandLine, tmp_path: Path) -> None:
    devices = person.mig_devices()

    up(person, tmp_path, TUTORIAL)

    assert person.mig_devices() == devices
    assert state(person) == ("mig-k8s-mlops-k8s-master-dae258a2", "success")
    # No layout for the next boot.
    assert person.ssh("ls /etc/mig-k8s").split() == ["desired.json", "pods.nft"]
