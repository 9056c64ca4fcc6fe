"""A cluster that is in use and grows: its first agent, another token, two more agents, while a user's pod goes on.
Then changes go through the three agents, one after the other: of layouts, at last another driver with a reboot.
"""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import eventually
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox
from lives import up_as_said
from nodes_out import changes, watched

from sandbox.engine.environment import Environment

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

AGENT = "work"
WORK = {"name": AGENT, "role": "agent", "vmSize": "Standard_D4s_v5"}
GPUS = {"name": "gpu", "role": "agent", "count": 2, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}
THREE = {AGENT, "gpu", "gpu-1"}
HALVES = {**GPUS, "migDevices": {"3g.40gb": 2}}
RESTARTED = {"config": {"kubelet-arg": ["max-pods=120"]}}
"""A section `rke2` for which RKE2 restarts on every machine."""
SERVICE = """
{apiVersion: apps/v1, kind: Deployment, metadata: {name: service}, spec: {replicas: 2,
 selector: {matchLabels: {app: service}}, template: {metadata: {labels: {app: service}}, spec: {
  terminationGracePeriodSeconds: 2, affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {
   nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [gpu, gpu-1]}]}]}},
   podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {
    topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: service}}}}]}},
  containers: [{name: c, image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
   command: [sleep, "3600"], resources: {limits: {nvidia.com/mig-3g.40gb: 1}}}]}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: service}, spec: {minAvailable: 1,
 selector: {matchLabels: {app: service}}}}
"""
"""Two pods of users, each with half a GPU of an agent; one has to be there at all times."""
HOLDER = """
{apiVersion: v1, kind: Pod, metadata: {name: holder}, spec: {nodeSelector: {kubernetes.io/hostname: gpu-1}, containers:
 [{name: c, image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04", command: [sleep, "600"],
   resources: {limits: {nvidia.com/mig-1g.10gb: 1}}}]}}
"""
"""A user's pod with a device of gpu-1."""
KUBECTL = (
    "sudo /var/lib/rancher/rke2/bin/kubectl --kubeconfig /var/lib/rancher/rke2/agent/kubelet.kubeconfig --namespace"
)
"""With the rights of an agent's kubelet."""
COUNTING = f"""
{{apiVersion: v1, kind: Pod, metadata: {{name: counting}}, spec: {{nodeName: {NODE}, containers: [{{name: c,
 image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
 command: [sh, -c, "n=0; while sleep 1; do n=$((n + 1)); echo $n; done"]}}]}}}}
"""


def stack(folder: Path, *more: dict[str, Any], **sections: dict[str, Any]) -> Path:
    """The tutorial's machine, more pools and sections; nothing is verified, since the pod is what counts."""
    config: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]
    config["mig-k8s:nodePools"] = [*config["mig-k8s:nodePools"], *more]
    config["mig-k8s:verify"] = {"enabled": False}
    config |= {f"mig-k8s:{name}": section for name, section in sections.items()}
    file = folder / "growing.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    return file


@pytest.fixture(scope="module")
def person(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """At a sandbox of their own: one server, with a pod that counts."""
    with own_sandbox(obstacle, "growing") as person:
        person.up(stack(tmp_path_factory.mktemp("stacks")), seconds=400)
        person.kubectl("create", "-f", "-", stdin=COUNTING)
        person.kubectl("wait", "--for=condition=Ready", "pod/counting", "--timeout=50s")
        yield person


def life(person: CommandLine) -> tuple[str, str]:
    """What would differ after a reboot, and after a restart of the pod."""
    (status,) = person.get("pod", "counting")["status"]["containerStatuses"]
    return person.boot_id(), status["containerID"]


def counts_on(person: CommandLine) -> bool:
    def count() -> int:
        return int(person.kubectl("logs", "counting", "--tail=1"))

    before = count()
    eventually("the pod counts on", lambda: count() > before)
    return True


def runs_since(person: CommandLine) -> str:
    return person.ssh("systemctl show -p MainPID --value rke2-server")


def token_of(person: CommandLine) -> str:
    return person.ssh("sudo sed 's/.*::server://' /var/lib/rancher/rke2/server/token").strip()


def test_a_single_server_has_the_stacks_token_from_the_first_boot(person: CommandLine) -> None:
    assert token_of(person) == person.ssh("sudo cat /etc/rancher/rke2/token").strip()
    assert person.ssh("sudo ls /var/lib/mig-k8s").split().count("rke2-agent-token.sha256") == 1


def test_the_first_agent_restarts_nothing_beside_it(person: CommandLine, tmp_path: Path) -> None:
    before, process = life(person), runs_since(person)

    first_agent = stack(tmp_path, WORK)
    said = up_as_said(person, first_agent, seconds=400)

    assert {node["metadata"]["name"] for node in person.get("nodes")["items"]} == {NODE, AGENT}
    assert (life(person), runs_since(person)) == (before, process)
    assert counts_on(person)
    assert not re.search(rf" {NODE}-(converge|ready) .*(updat|replac)", said), said


def test_the_agent_has_nothing_a_server_could_be_made_with(person: CommandLine) -> None:
    tokens = person.ssh("sudo cat /etc/rancher/rke2/token /etc/rancher/node/password", machine=AGENT)
    assert "agent-token" not in person.ssh("sudo ls /etc/rancher/rke2", machine=AGENT).split()
    assert tokens.split()[0] == person.ssh("sudo cat /etc/rancher/rke2/agent-token").strip()
    assert token_of(person) not in tokens


def test_another_token_is_taken_over_with_one_restart_of_rke2_and_lasts(person: CommandLine, tmp_path: Path) -> None:
    """As with an older stack, whose cluster has a token of RKE2's own."""
    before, process, old = life(person), runs_since(person), token_of(person)
    new = secrets.token_hex(32)
    Environment(person.root, machines=True).set_secret("rke2Token", new)

    said = person.up(stack(tmp_path, WORK), seconds=400)

    assert token_of(person) == new
    assert runs_since(person) != process
    assert life(person) == before
    assert counts_on(person)
    for word in (old, new):
        assert word not in said
        assert person.ssh(f"sudo journalctl | grep -v sudo | grep -c {word}", statuses=(0, 1)) == "0\n"
    for _ in range(2):  # the second one would be refused had the cluster not kept the agent token
        person.ssh("sleep 4; sudo timeout 55 systemctl restart rke2-server")
    assert life(person) == before
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    person.ssh("sudo timeout 55 systemctl restart rke2-agent", machine=AGENT)
    eventually("both nodes", lambda: person.kubectl("get", "nodes", "-o", ready), "True True")


def turns(person: CommandLine) -> dict[str, Any]:
    """The record of turns."""
    found: dict[str, Any] = json.loads(
        person.get("configmap", "mig-k8s-turns", "-n", "kube-system")["data"]["turns.json"]
    )
    return found


def devices(person: CommandLine) -> dict[str, int]:
    """How many MIG devices each GPU agent has."""
    return {name: person.ssh("nvidia-smi -L", machine=name).count("  MIG ") for name in ("gpu", "gpu-1")}


def test_two_more_agents_are_made_side_by_side_and_wait_for_nobody(person: CommandLine, tmp_path: Path) -> None:
    before, process = life(person), runs_since(person)
    with watched(person, THREE) as nodes:
        said = up_as_said(person, stack(tmp_path, WORK, GPUS), seconds=400)
    assert "waits for its turn" not in " ".join(said.split())
    assert devices(person) == {"gpu": 7, "gpu-1": 7}
    assert (life(person), runs_since(person)) == (before, process)
    assert not [line for line in nodes.seen if line.endswith(" true")], "cordoned at the first boot"


@pytest.mark.parametrize(
    "words",
    [
        "default get nodes",
        "default get node gpu-1",
        "default cordon gpu-1",
        "default taint node gpu a=b:NoSchedule",
        "kube-system get lease mig-k8s-turns",
        "kube-node-lease get lease gpu-1",
        "kube-system get configmaps",
        "kube-system get configmap kube-root-ca.crt",
        "kube-system delete configmap mig-k8s-turns",
    ],
)
def test_a_kubelet_is_refused_what_is_not_its_nodes(person: CommandLine, words: str) -> None:
    said = person.ssh(f"{KUBECTL} {words} 2>&1", machine="gpu", statuses=(1,))
    assert said.startswith("Error from server (Forbidden): "), said


def test_a_kubelet_is_let_into_the_record_of_turns_and_may_cordon_its_own_node(person: CommandLine) -> None:
    name = person.ssh(f"{KUBECTL} kube-system get configmap mig-k8s-turns -o name", machine="gpu")
    assert name == "configmap/mig-k8s-turns\n"
    person.ssh(f"{KUBECTL} default cordon gpu && {KUBECTL} default uncordon gpu", machine="gpu")


def test_a_pod_that_may_not_end_stops_its_machine_and_those_after_it_until_it_has_gone(
    person: CommandLine, tmp_path: Path
) -> None:
    person.kubectl("apply", "-f", "-", stdin=HOLDER)
    person.kubectl("wait", "--for=condition=Ready", "pod/holder", "--timeout=50s")
    another = stack(tmp_path, WORK, HALVES)
    with watched(person, THREE) as nodes:
        said = " ".join(person.run("up", str(another), status=1, seconds=300).split())  # the engine breaks lines
    assert len(nodes.most) == 1
    assert "GPU 0 refused: pods hold devices that must go: default/holder (1g.10gb at " in said
    stopped = "gpu was stopped before its turn, nothing was changed: gpu-1 failed in its turn: GPU 0: pods hold" in said
    assert devices(person)["gpu-1"] == 7
    assert devices(person)["gpu"] in ((7,) if stopped else (2, 7))  # it may have come before, or not have begun
    assert (turns(person)["turns"], turns(person)["failures"]) == ({}, 1)
    assert "unschedulable" not in person.get("node", "gpu-1")["spec"]
    assert person.get("pod", "holder")["status"]["phase"] == "Running"

    person.kubectl("delete", "pod", "holder", "--now")
    person.up(another, seconds=300)
    assert devices(person) == {"gpu": 2, "gpu-1": 2}
    assert counts_on(person)


@pytest.mark.timeout(1000)
def test_another_driver_and_a_restart_of_rke2_take_one_agent_after_the_other_and_a_budget_is_kept(
    person: CommandLine, tmp_path: Path
) -> None:
    person.kubectl("apply", "-f", "-", stdin=SERVICE)
    person.kubectl("wait", "--for=condition=Available", "deployment/service", "--timeout=50s")
    sections: dict[str, dict[str, Any]] = {"rke2": RESTARTED, "driver": {"openKernelModules": True}}
    another = stack(tmp_path, WORK, HALVES, mig={"strategy": "mixed", "onChange": "drain"}, **sections)
    available = 'jsonpath={.metadata.name} {.status.availableReplicas}{"\\n"}'
    with watched(person, THREE) as nodes, changes(person, "deployments", available) as service:
        up_as_said(person, another, seconds=900)
    assert nodes.ever == THREE, "an agent was never cordoned"
    assert len(nodes.most) == 1, f"out at once: {nodes.most}"
    assert set(service) & {"service", "service 1", "service 2"} == {"service 1", "service 2"}, "a budget was broken"
    assert (turns(person)["turns"], turns(person)["failures"]) == ({}, 1)
    for agent in ("gpu", "gpu-1"):
        assert "Open Kernel Module" in person.ssh("cat /proc/driver/nvidia/version", machine=agent)
    assert devices(person) == {"gpu": 2, "gpu-1": 2}
    person.kubectl("wait", "--for=condition=Available", "deployment/service", "--timeout=50s")
