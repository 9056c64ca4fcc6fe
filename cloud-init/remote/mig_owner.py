#!/usr/bin/env python3
"""Free a machine's GPUs for another layout of MIG Manager's, and hand them over to it; fed to the machine over SSH.

    python3 - withdraw WISH    before anything of the machine changes: instances that the new layout does not have go,
                               with mig-apply's care for pods, and MIG Manager has no say until the hand-over
    python3 - hand-over WISH   when the GPU Operator's release holds the new layout: MIG Manager makes the instances

WISH is JSON: {"node": NAME, "config": LAYOUT_NAME, "onChange": "refuse"|"drain",
"gpus": [{"index": 0, "mode": true, "profiles": {"1g.10gb": 7}}], and for hand-over "configMap": NAME, "seconds": 1800}.

MIG Manager (NVIDIA/mig-parted v0.15) acts when the node's label nvidia.com/mig.config changes and when it starts. It
asks no pod: one that holds a device makes it fail, after other instances of that GPU are gone. Words for people go to
standard error. Exit codes: 0 done, 1 refused or failed.
"""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("MIG_K8S_ROOT", "/"))
RKE2 = ROOT / "var/lib/rancher/rke2"
KUBECONFIGS = (ROOT / "etc/rancher/rke2/rke2.yaml", RKE2 / "agent/kubelet.kubeconfig")
MIG_APPLY = ROOT / "usr/local/sbin/mig-apply"
REMEMBERED = ROOT / "etc/mig-k8s/layout.json"
FOLLOWERS = ROOT / "run/mig-k8s/followers"
CONFIG = "nvidia.com/mig.config"
STATE = "nvidia.com/mig.config.state"
POLL_SECONDS = 1.0
API_SECONDS = 60
CHANGE_SECONDS = 900
"""How long MIG Manager may take: it waits up to 300 s for the end of each GPU client."""
FAILED_LOOKS = 5
"""How often `failed` must be seen: an earlier change may have ended in it a moment after the label was set."""
LOGS = "`kubectl logs -n gpu-operator -l app=nvidia-mig-manager`"


class OwnerError(Exception):
    """The GPUs cannot be freed or handed over, in words for people."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(*command: str, seconds: int = 120) -> "subprocess.CompletedProcess[str]":
    """A program's end; a missing or hanging program ends with a status of its own."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


class Gpus:
    """What the driver says, compared with what is wished for. There is none before the driver is installed."""

    def __init__(self, wishes: list[dict[str, Any]]) -> None:
        self.wishes = {int(wish["index"]): wish for wish in wishes}
        self.devices: dict[int, Counter[str]] = {}
        index = -1
        for line in run("nvidia-smi", "-L").stdout.splitlines():
            if found := re.match(r"GPU (\d+):", line):
                index = int(found[1])
                self.devices[index] = Counter()
            elif found := re.match(r" +MIG (\S+) +Device +\d+:", line):
                self.devices[index][found[1]] += 1
        modes = run("nvidia-smi", "--query-gpu=index,mig.mode.current,mig.mode.pending", "--format=csv,noheader").stdout
        self.modes = {int(found[0]): set(found[1:]) for found in re.findall(r"^(\d+), (\w+), (\w+)$", modes, re.M)}

    def to_be_emptied(self) -> list[int]:
        """GPUs that stay in MIG mode and have other devices. mig-parted, too, removes all of such a GPU's."""
        return [
            index
            for index, wish in self.wishes.items()
            if wish["mode"] and self.devices.get(index) and self.devices[index] != Counter(wish["profiles"])
        ]

    def with_another_mode(self) -> list[int]:
        """GPUs whose mode changes; the machine's own mig-mode stage does that."""
        words = {index: {"Enabled" if wish["mode"] else "Disabled"} for index, wish in self.wishes.items()}
        return [index for index, wanted in words.items() if self.modes.get(index, wanted) != wanted]

    def are_right(self) -> bool:
        return not self.with_another_mode() and all(
            self.devices.get(index) == Counter(wish["profiles"]) for index, wish in self.wishes.items()
        )


class Node:
    """This machine as Kubernetes knows it, read and labelled with its own rights: those of an agent suffice."""

    def __init__(self, name: str, kubeconfig: Path) -> None:
        self.name, self.kubeconfig = name, kubeconfig

    def kubectl(self, *arguments: str) -> str:
        """Standard output. Asked again for a minute: an API server may just be restarting. Raises OwnerError."""
        command = [str(RKE2 / "bin/kubectl"), "--kubeconfig", str(self.kubeconfig), "--request-timeout=30s", *arguments]
        deadline = time.monotonic() + API_SECONDS
        while (ended := run(*command)).returncode != 0:
            if time.monotonic() > deadline:
                raise OwnerError(f"kubectl {' '.join(arguments)}: {ended.stderr.strip()}")
            time.sleep(POLL_SECONDS)
        return ended.stdout

    def labels(self) -> dict[str, str]:
        """Its labels; none before it has registered."""
        listed = self.kubectl("get", "nodes", f"--field-selector=metadata.name={self.name}", "-o", "json")
        nodes = [node["metadata"] for node in json.loads(listed)["items"] if node["metadata"]["name"] == self.name]
        return dict(nodes[0].get("labels", {})) if nodes else {}

    def label(self, *changes: str) -> None:
        """`KEY=VALUE` sets, `KEY-` removes."""
        self.kubectl("label", "node", self.name, "--overwrite", *changes)

    def has_manager(self, config_map: str) -> bool:
        """Whether the one MIG Manager here runs with this configuration, and none is left that has another."""
        selectors = ("-l", "app=nvidia-mig-manager", f"--field-selector=spec.nodeName={self.name}")
        pods = json.loads(self.kubectl("get", "pods", "--all-namespaces", *selectors, "-o", "json"))["items"]
        return len(pods) == 1 and (
            "deletionTimestamp" not in pods[0]["metadata"]
            and pods[0]["status"].get("phase") == "Running"
            and config_map in [v.get("configMap", {}).get("name") for v in pods[0]["spec"].get("volumes", [])]
        )


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises OwnerError that says what was waited for."""
    deadline, told = time.monotonic() + seconds, time.monotonic()
    while not condition():
        if time.monotonic() > deadline:
            raise OwnerError(f"{what} after {seconds:.0f} s")
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"waiting for MIG Manager, up to {deadline - told:.0f} s more")
        time.sleep(POLL_SECONDS)


def withdraw(wish: dict[str, Any], node: "Node | None") -> None:
    """Nothing to do on a machine that is just being born."""
    gpus = Gpus(wish["gpus"])
    emptied = gpus.to_be_emptied()
    if emptied:
        empty = [{"index": index, "mode": True, "instances": []} for index in emptied]
        layout = json.dumps({"version": 1, "onChange": wish["onChange"], "gpus": empty})
        say(f"freeing GPU {', '.join(map(str, emptied))} for its new layout")
        command = [str(MIG_APPLY), "--layout", "-"]
        # Its words for people go where ours go.
        if subprocess.run(command, input=layout, stdout=subprocess.DEVNULL, text=True, check=False).returncode != 0:
            raise OwnerError(f"{wish['node']} keeps its layout: mig-apply could not free it, see above")
    # A machine that reboots for its mode must not meet a MIG Manager that wants the old one back.
    if node is not None and (emptied or gpus.with_another_mode()) and CONFIG in node.labels():
        node.label(f"{CONFIG}-", f"{STATE}-")
        say(f"MIG Manager has no say on {wish['node']} until its new layout is handed over")


def hand_over(wish: dict[str, Any], node: Node) -> None:
    name, config = wish["node"], wish["config"]
    wait(
        lambda: node.has_manager(wish["configMap"]),
        wish["seconds"],
        f"no MIG Manager with the configuration {wish['configMap']} runs on {name}: `kubectl get pods -n gpu-operator"
        " -l app=nvidia-mig-manager -o wide` shows what is there. With updateStrategy OnDelete, delete it. Given up",
    )
    REMEMBERED.unlink(missing_ok=True)  # or the next boot would make what the host last had
    labels = node.labels()
    if (labels.get(CONFIG), labels.get(STATE)) == (config, "success") and Gpus(wish["gpus"]).are_right():
        say(f"{name} has {CONFIG}={config} already")
        return
    if labels.get(CONFIG) == config:
        node.label(f"{CONFIG}-")  # MIG Manager acts on a change only
    node.label(f"{CONFIG}={config}", f"{STATE}-")
    say(f"{name}: {CONFIG}={config}")
    failed = 0

    def is_made() -> bool:
        nonlocal failed
        state = node.labels().get(STATE)
        failed = failed + 1 if state == "failed" else 0
        if failed == FAILED_LOOKS:
            raise OwnerError(f"MIG Manager failed at {CONFIG}={config} on {name}: {LOGS} tells why; then `pulumi up`")
        # Its success may be of an earlier change; the devices are the proof.
        return state == "success" and Gpus(wish["gpus"]).are_right()

    stuck = (
        f"MIG Manager has not made {CONFIG}={config} on {name}: {LOGS} tells why. Deleted (`kubectl delete pod"
        " -n gpu-operator -l app=nvidia-mig-manager`), it begins anew; then `pulumi up`. Given up"
    )
    wait(is_made, CHANGE_SECONDS, stuck)
    # The toolkit's list of devices does not follow MIG changes by itself.
    if run("systemctl", "cat", "nvidia-cdi-refresh.service").returncode == 0:
        run("systemctl", "restart", "nvidia-cdi-refresh.service")
    say(f"{name} has the devices of {config}")


def main() -> int:
    """Dispatch; see the module's text."""
    verb, wish = sys.argv[1], json.loads(sys.argv[2])
    kubeconfig = next((path for path in KUBECONFIGS if path.exists()), None)
    node = None if kubeconfig is None else Node(wish["node"], kubeconfig)
    FOLLOWERS.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(BrokenPipeError), FOLLOWERS.open("a", encoding="ascii") as followers:
        fcntl.flock(followers, fcntl.LOCK_SH)  # mig-k8s reboots when nobody is left to be told
        try:
            if verb == "withdraw":
                withdraw(wish, node)
            elif node is None:
                raise OwnerError(f"there is no Kubernetes on {wish['node']}: `sudo mig-k8s status` there tells why")
            else:
                hand_over(wish, node)
        except OwnerError as error:
            say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
