"""A machine that the last commit without releases made is taken over by the next `up`; then its release breaks.

Each test takes up where the one before it ended.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]

BEFORE_RELEASES = "0e79b96"
"""The last commit whose machines run four programs of one file each."""
HOME = "/usr/local/lib/mig-k8s"
CURRENT = f"{HOME}/current"
WORKLOAD = """
{apiVersion: v1, kind: Pod, metadata: {name: workload}, spec: {containers: [{name: main, command: [sleep, "3600"],
 image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"}]}}
"""


@dataclass(frozen=True)
class Before:
    """What the machine had before it was taken over."""

    person: CommandLine
    boot_id: str
    devices: dict[str, str]
    pods: dict[str, str]
    rke2: str


def pods(person: CommandLine) -> dict[str, str]:
    """Name → uid and starts, of everything that is not the verification's."""
    return {
        item["metadata"]["name"]: f"{item['metadata']['uid']} {_starts(item)}"
        for item in person.get("pods", "--all-namespaces")["items"]
        if item["metadata"]["namespace"] != "mig-k8s-verify"
    }


def _starts(item: dict[str, Any]) -> list[int]:
    return [status["restartCount"] for status in item["status"].get("containerStatuses", [])]


def rke2(person: CommandLine) -> str:
    return person.ssh("systemctl show rke2-server.service -p MainPID -p ActiveEnterTimestamp")


@pytest.fixture(scope="module")
def before(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Before]:
    """The dev stack, brought up by the checkout of that commit."""
    if obstacle is not None:
        pytest.skip(f"no machine can boot here: {obstacle}")
    packed = subprocess.run(["git", "-C", str(CHECKOUT), "archive", BEFORE_RELEASES], capture_output=True, check=False)
    if packed.returncode != 0:
        pytest.skip(f"this checkout's history has no {BEFORE_RELEASES}")
    old = tmp_path_factory.mktemp("before")
    subprocess.run(["tar", "-x", "-C", str(old)], input=packed.stdout, check=True)
    subprocess.run([sys.executable, "-m", "sandbox.virtualenv"], cwd=old, stdout=subprocess.DEVNULL, check=True)
    person = CommandLine(f"test-{os.getpid()}-takeover")
    earlier = CommandLine(person.name, checkout=old)
    try:
        earlier.up(old / "Pulumi.dev.yaml", seconds=500)
        person.kubectl("apply", "-f", "-", stdin=WORKLOAD)
        eventually("the workload runs", lambda: person.get("pod", "workload")["status"]["phase"], "Running", seconds=60)
        assert person.ssh("head -1 /usr/local/sbin/mig-k8s") == "#!/usr/bin/env python3\n"
        yield Before(person, person.boot_id(), person.mig_devices(), pods(person), rke2(person))
    finally:
        person.run("down", seconds=120)


def test_an_older_machine_is_taken_over_without_a_reboot_and_keeps_what_runs_on_it(before: Before) -> None:
    person = before.person
    person.up(CHECKOUT / "Pulumi.dev.yaml", seconds=400)
    assert person.output("verification")["passed"] is True
    assert person.boot_id() == before.boot_id
    assert rke2(person) == before.rke2
    assert person.mig_devices() == before.devices
    after = pods(person)
    assert {name: after.get(name) for name in before.pods} == before.pods


def test_after_that_the_machine_runs_the_release_and_nothing_older_is_left(before: Before) -> None:
    person = before.person
    assert person.ssh("sudo mig-k8s status").splitlines()[-1] == "everything is done"
    assert person.ssh(f"ls {HOME}").split() == ["current", "releases"]
    assert len(person.ssh(f"ls {HOME}/releases").split()) == 1
    assert person.ssh("head -1 /usr/local/sbin/mig-k8s /usr/local/sbin/mig-apply | grep -c '^#!/bin/sh'") == "2\n"
    assert "current/entry-points/mig-k8s boot" in person.ssh("systemctl cat mig-k8s-instances.service")


def test_a_second_up_changes_nothing(before: Before) -> None:
    said = before.person.up(CHECKOUT / "Pulumi.dev.yaml", seconds=240)
    assert not any(word in said for word in (" created", " updated", " replaced")), said


@pytest.mark.parametrize(
    "spoil",
    [
        f"echo 'def (:' | sudo tee {CURRENT}/machine/command_line.py",
        f"sudo rm {CURRENT}/machine/gpu/boot.py",
    ],
    ids=["SyntaxError", "missing file"],
)
def test_a_broken_release_does_not_keep_rke2_from_starting(before: Before, spoil: str) -> None:
    person = before.person
    boot_id = person.boot_id()
    person.ssh(spoil)
    person.ssh("sudo systemctl reboot", statuses=(0, 255))
    eventually("another boot", lambda: _tried_boot_id(person) not in ("", boot_id), seconds=90)
    eventually(
        "RKE2 runs",
        lambda: person.ssh("systemctl is-active rke2-server.service", statuses=(0, 3, 4, 255)).strip(),
        "active",
        seconds=120,
    )
    assert "failed" in person.ssh("systemctl is-active mig-k8s-instances.service", statuses=(3,))
    eventually("the node is ready", lambda: _is_ready(person), seconds=90)


def _tried_boot_id(person: CommandLine) -> str:
    return person.ssh("cat /proc/sys/kernel/random/boot_id", statuses=(0, 255)).strip()


def _is_ready(person: CommandLine) -> bool:
    try:
        conditions = person.get("node", NODE)["status"]["conditions"]
    except AssertionError:  # the API server is not there yet
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
