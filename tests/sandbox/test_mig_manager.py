"""MIG Manager as the owner of the instances, and enabled by mistake where the host owns them; on one machine."""

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
from command_line import CHECKOUT, NODE, CommandLine

from sandbox import toolchain

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"


@pytest.fixture(scope="module")
def person(obstacle: str | None) -> Iterator[CommandLine]:
    """At a sandbox of their own, with nothing up."""
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    person = CommandLine(f"test-{os.getpid()}-manager")
    try:
        yield person
    finally:
        person.run("down", seconds=120)


def state(person: CommandLine) -> tuple[str | None, str | None]:
    labels = person.labels()
    return labels.get(CONFIG), labels.get(STATE)


def on_machine(person: CommandLine) -> list[str]:
    """Profiles of the machine's MIG devices; none while it boots or its driver is not loaded yet."""
    return sorted(re.findall(r"^  MIG (\S+)", person.ssh("nvidia-smi -L", statuses=(0, 9, 255)), re.M))


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
    said = person.ssh("sudo mig-verify", stdin=json.dumps(expectations), statuses=(0, 1))
    report: dict[str, Any] = json.loads(said)
    return report


def test_mig_manager_makes_the_layout_of_the_stack_and_it_is_verified(person: CommandLine, tmp_path: Path) -> None:
    stack = yaml.safe_load((CHECKOUT / "examples/operator-owned.yaml").read_text())
    stack["config"]["mig-k8s:nodePools"][0]["name"] = NODE
    file = tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump(stack))

    person.up(file)

    report = person.output("verification")
    assert report["passed"] is True
    assert sorted(device["profile"] for device in report["devices"]) == ["1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]
    assert sorted(device["uuid"] for device in report["devices"]) == sorted(person.mig_devices())
    assert state(person) == ("mig-k8s-mlops-k8s-master", "success")


def test_a_label_that_names_no_layout_fails_without_harm_and_another_is_served(person: CommandLine) -> None:
    instances = person.mig_devices()

    person.kubectl("label", "--overwrite", "node", NODE, f"{CONFIG}=no-such-layout")
    eventually("the state", lambda: state(person), ("no-such-layout", "failed"))
    assert person.mig_devices() == instances

    person.kubectl("label", "--overwrite", "node", NODE, f"{CONFIG}=mig-k8s-mlops-k8s-master")
    eventually("the state", lambda: state(person), ("mig-k8s-mlops-k8s-master", "success"))
    assert person.mig_devices() == instances


def test_enabled_by_mistake_it_wipes_the_hosts_instances_and_the_verification_says_so(
    person: CommandLine, tmp_path: Path
) -> None:
    person.up(CHECKOUT / "Pulumi.dev.yaml")
    assert on_machine(person) == ["1g.10gb", "2g.20gb", "3g.40gb"]
    person.kubectl("label", "node", NODE, f"{CONFIG}-", f"{STATE}-")  # as on a node that was the host's from its birth

    enable_mig_manager(person, tmp_path, enabled=True)

    eventually("the wipe", lambda: state(person), ("all-disabled", "failed"))  # failed: it may not reboot
    assert on_machine(person) == []
    report = verified(person, seconds=3)
    assert report["passed"] is False
    (check,) = [check for check in report["checks"] if check["name"] == "allocatable"]
    assert check["expected"] == "nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1, nvidia.com/mig-3g.40gb: 1"
    assert check["remedy"].startswith("MIG Manager wiped the instances (nvidia.com/mig.config=all-disabled, failed)")


def test_the_remedy_of_the_wipe_helps(person: CommandLine, tmp_path: Path) -> None:
    enable_mig_manager(person, tmp_path, enabled=False)
    person.kubectl("label", "node", NODE, f"{CONFIG}-")

    person.ssh("sudo systemctl reboot", statuses=(0, 255))

    eventually("the instances", lambda: on_machine(person), ["1g.10gb", "2g.20gb", "3g.40gb"], seconds=90)
    assert verified(person, seconds=60)["passed"] is True
