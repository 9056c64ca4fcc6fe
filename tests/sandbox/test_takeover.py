"""A machine that the last commit without releases made is taken over by the next `up`; then its release breaks.

That commit's program runs on this checkout's sandbox: a user's cloud does not change with the checkout either. Each
test takes up where the one before it ended.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

BEFORE_RELEASES = "0e79b967cabdc68a80ba1d5bb8fea92328dd2bb4"
"""The last commit whose machines run four programs of one file each."""
PROGRAM = ("Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py", "stack_config.py", "components", "plan", "cloud-init")
PINNED = {"mig-k8s:rke2": {"version": "v1.35.7+rke2r1"}, "mig-k8s:toolkit": {"version": "1.20.2-1"}}
"""Its own default of RKE2, and the only toolkit on this checkout's mirror, which has what a stack names."""
HOME = "/usr/local/lib/mig-k8s"
CURRENT = f"{HOME}/current"
DISCOVERERS = ("gpu-feature-discovery-", "gpu-operator-node-feature-discovery-worker-")
"""What asks the API once a minute and ends at the first refusal, as NVIDIA's and the real worker do."""
METADATA = "http://169.254.169.254/metadata/instance?api-version=2021-02-01"
CHANNEL, NAME_SERVICE = "http://168.63.129.16/?comp=versions", "http://168.63.129.16:53/"
ANSWER = '"azEnvironment"'
"""What the metadata service answers."""
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
    rke2_starts: int


@dataclass(frozen=True)
class Restart:
    """When RKE2 last stopped and was ready again, in seconds since the epoch; the API is away only in between."""

    stopped: float
    ready: float

    @classmethod
    def last(cls, person: CommandLine) -> "Restart":
        show = "systemctl show rke2-server.service --timestamp=unix -p ActiveExitTimestamp -p ActiveEnterTimestamp"
        told = dict(line.split("=@") for line in person.ssh(show).splitlines())
        return cls(stopped=float(told["ActiveExitTimestamp"]), ready=float(told["ActiveEnterTimestamp"]))

    def made_end(self, container: dict[str, Any]) -> bool:
        """Whether it ended by itself, with an error, while the API was away."""
        ended = container["lastState"].get("terminated")
        if ended is None or ended["exitCode"] != 1:
            return False
        return self.stopped <= datetime.fromisoformat(ended["finishedAt"]).timestamp() <= self.ready


def pods(person: CommandLine, restart: Restart | None = None) -> dict[str, str]:
    """Name → uid and starts, of everything that is not the verification's.

    Another Kubernetes is another API server, which a cluster of one server is without for some seconds. A discoverer
    whose minute ends there ends too, and that one start is not counted; any other start of any pod is.
    """
    return {
        item["metadata"]["name"]: f"{item['metadata']['uid']} {_starts(item, restart)}"
        for item in person.get("pods", "--all-namespaces")["items"]
        if item["metadata"]["namespace"] != "mig-k8s-verify"
    }


def _starts(item: dict[str, Any], restart: Restart | None) -> list[int]:
    excused = restart if item["metadata"]["name"].startswith(DISCOVERERS) else None
    return [
        container["restartCount"] - int(excused is not None and excused.made_end(container))
        for container in item["status"].get("containerStatuses", [])
    ]


def rke2_starts(person: CommandLine) -> int:
    """In this boot."""
    return int(person.ssh("sudo journalctl -b -u rke2-server.service -o cat | grep -c '^Started '"))


@pytest.fixture(scope="module")
def before(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Before]:
    """The dev stack, brought up by the program of that commit."""
    with own_sandbox(obstacle, "takeover") as person:
        old = program(tmp_path_factory.mktemp("before"))
        stack = yaml.safe_load((old / "Pulumi.dev.yaml").read_text())
        stack["config"] |= PINNED
        (file := old / "Pulumi.dev.yaml").write_text(yaml.safe_dump(stack))
        person.up(file, "--program", str(old), seconds=400)
        person.kubectl("apply", "-f", "-", stdin=WORKLOAD)
        eventually("the workload runs", lambda: person.get("pod", "workload")["status"]["phase"], "Running", seconds=60)
        assert person.ssh("head -1 /usr/local/sbin/mig-k8s") == "#!/usr/bin/env python3\n"
        assert ANSWER in asked_by_pod(person, METADATA)
        yield Before(person, person.boot_id(), person.mig_devices(), pods(person), rke2_starts(person))


def program(folder: Path) -> Path:
    """The program of that commit, out of this checkout's history; skips where the history does not reach back to it."""
    packed = subprocess.run(
        ["git", "-C", str(CHECKOUT), "archive", BEFORE_RELEASES, *PROGRAM], capture_output=True, check=False
    )
    if packed.returncode != 0:
        said = packed.stderr.decode(errors="replace").strip()
        pytest.skip(
            f"NOT TESTED, the take-over of an older machine: a whole clone has {BEFORE_RELEASES[:7]}; git: {said}"
        )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


def test_an_older_machine_is_taken_over_without_a_reboot_and_keeps_what_runs_on_it(before: Before) -> None:
    """RKE2 does restart, once: the default release and ingress controller are others."""
    person = before.person
    person.up(CHECKOUT / "Pulumi.dev.yaml", previewed=True, seconds=300)
    assert person.output("verification")["passed"] is True
    assert person.boot_id() == before.boot_id
    assert person.mig_devices() == before.devices
    after = pods(person, Restart.last(person))
    assert {name: after.get(name) for name in before.pods} == before.pods
    assert rke2_starts(person) == before.rke2_starts + 1


def test_after_that_the_machine_runs_the_release_and_nothing_older_is_left(before: Before) -> None:
    person = before.person
    assert person.ssh("sudo mig-k8s status").splitlines()[-1] == "everything is done"
    assert person.ssh(f"ls {HOME}").split() == ["current", "releases"]
    assert len(person.ssh(f"ls {HOME}/releases").split()) == 1
    assert person.ssh("head -1 /usr/local/sbin/mig-k8s /usr/local/sbin/mig-apply | grep -c '^#!/bin/sh'") == "2\n"
    assert "current/entry-points/mig-k8s boot" in person.ssh("systemctl cat mig-k8s-instances.service")


def test_after_that_no_pod_reaches_the_metadata_service_and_the_machine_still_does(before: Before) -> None:
    """The pod is the one that reached it before. What the name service of Azure is asked comes through."""
    person = before.person
    for address in (METADATA, CHANNEL):
        assert "No route to host" in asked_by_pod(person, address)
    assert "Connection refused" in asked_by_pod(person, NAME_SERVICE)
    assert "Required metadata header" in person.ssh(f"curl -sS -m 10 '{METADATA}'")
    assert ANSWER in person.ssh(f"curl -sS -m 10 -H Metadata:true '{METADATA}'")
    assert "<Version>" in person.ssh(f"curl -sS -m 10 '{CHANNEL}'")


def test_a_second_up_changes_nothing(before: Before) -> None:
    said = before.person.up(CHECKOUT / "Pulumi.dev.yaml")
    assert not any(word in said for word in (" created", " updated", " replaced")), said


def test_a_broken_release_does_not_keep_rke2_from_starting(before: Before) -> None:
    person = before.person
    boot_id = person.boot_id()
    person.ssh(f"sudo rm {CURRENT}/machine/gpu/boot.py")
    person.ssh("sudo systemctl reboot", statuses=(0, 255))
    eventually("another boot", lambda: _tried_boot_id(person) not in ("", boot_id), seconds=90)
    eventually(
        "RKE2 runs",
        lambda: person.ssh("systemctl is-active rke2-server.service", statuses=(0, 3, 4, 255)).strip(),
        "active",
        seconds=120,
    )
    assert "failed" in person.ssh("systemctl is-active mig-k8s-instances.service", statuses=(3,))
    assert "169.254.169.254 reject" in person.ssh("sudo nft list table inet mig_k8s")
    eventually("the node is ready", lambda: _is_ready(person), seconds=90)


def asked_by_pod(person: CommandLine, address: str) -> str:
    """What is told there to whoever is in the network of the pod, or what curl says of the way."""
    ask = f"curl -sS -v -m 5 -H 'Metadata: true' '{address}'"  # busybox's own wget, linked statically, crashes
    return person.ssh(f"sudo nsenter --target $(pgrep -xf 'sleep 3600') --net {ask} 2>&1; true")


def _tried_boot_id(person: CommandLine) -> str:
    return person.ssh("cat /proc/sys/kernel/random/boot_id", statuses=(0, 255)).strip()


def _is_ready(person: CommandLine) -> bool:
    try:
        conditions = person.get("node", NODE)["status"]["conditions"]
    except AssertionError:  # the API server is not there yet
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
