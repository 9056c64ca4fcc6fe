"""Three servers and two agents, with pods of users that may not end, through what years bring: RKE2 goes up by a minor,
every server is made anew, also the one that founded the cluster, and an agent; another driver. Its one address answers
throughout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_watch import watched_by_api
from backing_up import BackingUp
from command_line import CHECKOUT, CommandLine, own_sandbox

from sandbox.host import access

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1000)]

FOUNDED, UPGRADED = "v1.36.4+rke2r1", "v1.37.1+rke2r1"
SERVERS, AGENTS = {"server", "server-1", "server-2"}, {"gpu", "gpu-1"}
UP_SECONDS = 900
_ETCD = "/var/lib/rancher/rke2/server/tls/etcd"
MEMBERS = (
    f"sudo curl -sS --cacert {_ETCD}/server-ca.crt --cert {_ETCD}/client.crt --key {_ETCD}/client.key -d '{{}}'"
    ' https://127.0.0.1:2379/v3/cluster/member/list | grep -o \'"name":"server[^"]*\''
)
"""The names of etcd's members, as a server's own knows them."""
SILENT_SECONDS = 20
"""Two probes of the load balancer, 5 s apart, a request of 3 s that was on its way, and another one."""
POD = """
{apiVersion: v1, kind: Pod, metadata: {name: on-%s}, spec: {nodeSelector: {kubernetes.io/hostname: %s},
 restartPolicy: Never, containers: [{name: c, image: "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
 command: [sleep, "5000"], resources: {limits: {nvidia.com/mig-3g.40gb: 1}}}]}}
"""
"""A user's pod on an agent, with a device of its own."""


class Cluster:
    """The sandbox, and its stack file, which every step changes."""

    def __init__(self, person: CommandLine, folder: Path) -> None:
        self.person, self.file = person, folder / "stack.yaml"
        self.config: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]
        self.config["mig-k8s:mig"] = {"strategy": "mixed", "onChange": "refuse"}
        gpu = {"role": "agent", "count": 2, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"3g.40gb": 2}}
        self.config["mig-k8s:nodePools"] = [
            {"name": "server", "count": 3, "vmSize": "Standard_D4s_v5"},
            {"name": "gpu", **gpu},
        ]
        self.config["mig-k8s:rollout"] = {"agentsAtOnce": 1}

    def write(self, **sections: dict[str, Any]) -> Path:
        self.config |= {f"mig-k8s:{name}": section for name, section in sections.items()}
        self.file.write_text(yaml.safe_dump({"config": self.config}))
        return self.file

    def up(self, **sections: dict[str, Any]) -> str:
        return self.person.up(self.write(**sections), seconds=UP_SECONDS)

    def pod(self, agent: str) -> tuple[str, str]:
        """What would differ if the user's pod had ended."""
        pod = self.person.get("pod", f"on-{agent}")
        (container,) = pod["status"]["containerStatuses"]
        assert "running" in container["state"]
        return pod["metadata"]["uid"], container["containerID"]

    def kubelets(self) -> dict[str, str]:
        nodes = self.person.get("nodes")["items"]
        return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}

    def machines(self) -> dict[str, str]:
        """Name → id of each machine."""
        sandbox = self.person.sandbox
        return {found.name: vm_id for vm_id in sandbox.machine_ids if (found := access.login(sandbox, vm_id))}


@pytest.fixture(scope="module")
def cluster(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Up, with a pod on each agent."""
    with own_sandbox(obstacle, "long", destroyed=True) as person:
        made = Cluster(person, tmp_path_factory.mktemp("stacks"))
        made.up(rke2={"version": FOUNDED})
        for agent in sorted(AGENTS):
            person.kubectl("apply", "-f", "-", stdin=POD % (agent, agent))
            person.kubectl("wait", "--for=condition=Ready", f"pod/on-{agent}", "--timeout=50s")
        yield made


def test_an_upgrade_by_a_minor_takes_one_machine_after_the_other_and_no_pod(cluster: Cluster) -> None:
    pods = {agent: cluster.pod(agent) for agent in AGENTS}
    with watched_by_api(cluster.person) as seen:
        cluster.up(rke2={"version": UPGRADED})
    assert cluster.kubelets() == dict.fromkeys(SERVERS | AGENTS, UPGRADED)
    assert {agent: cluster.pod(agent) for agent in AGENTS} == pods
    assert (seen.most_out(SERVERS) <= 1, seen.most_out(AGENTS) <= 1) == (True, True), seen.out
    assert seen.silent < SILENT_SECONDS


def test_all_servers_are_rebuilt_one_after_the_other_and_the_cluster_stays(cluster: Cluster) -> None:
    before, person = cluster.machines(), cluster.person
    identity = person.get("namespace", "kube-system")["metadata"]["uid"]
    pods = {agent: cluster.pod(agent) for agent in AGENTS}
    with watched_by_api(person) as seen:
        cluster.up(rebuild=dict.fromkeys(SERVERS, "2026"))
    after = cluster.machines()
    assert {name for name in after if after[name] != before[name]} == SERVERS
    assert person.get("namespace", "kube-system")["metadata"]["uid"] == identity
    assert {agent: cluster.pod(agent) for agent in AGENTS} == pods
    assert seen.most_out(SERVERS) == 1, seen.out
    assert seen.ever_out() == SERVERS
    assert seen.silent < SILENT_SECONDS
    members = person.kubectl("get", "nodes", "-l", "node-role.kubernetes.io/etcd=true", "-o", "name").split()
    assert len(members) == 3
    assert person.output("verification")["passed"] is True


def test_an_agent_is_rebuilt_once_its_pod_has_ended_by_itself(cluster: Cluster) -> None:
    before, kept = cluster.machines(), cluster.pod("gpu-1")
    file = cluster.write(rebuild={**dict.fromkeys(SERVERS, "2026"), "gpu": "2026"})
    said = cluster.person.run("up", str(file), status=1, seconds=UP_SECONDS)
    assert "default/on-gpu" in said
    assert cluster.machines() == before
    cluster.person.kubectl("delete", "pod", "on-gpu", "--now")
    with watched_by_api(cluster.person) as seen:
        cluster.up()
    after = cluster.machines()
    assert {name for name in after if after[name] != before[name]} == {"gpu"}
    assert (seen.ever_out(), cluster.pod("gpu-1")) == ({"gpu"}, kept)
    assert seen.silent < SILENT_SECONDS


def test_a_backup_is_restored_on_three_servers_and_all_agents_come_back(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    person, kept = cluster.person, cluster.pod("gpu-1")
    backing_up = BackingUp(person, tmp_path_factory.mktemp("backups"))
    identity = person.get("namespace", "kube-system")["metadata"]["uid"]
    person.kubectl("create", "configmap", "before")
    backing_up.backup()
    person.kubectl("create", "configmap", "after")

    said = backing_up.restore_confirmed()

    assert "server-2: joins server\n" in said
    names = person.kubectl("get", "configmaps", "-o", "name").split()
    assert ("configmap/before" in names, "configmap/after" in names) == (True, False)
    assert person.get("namespace", "kube-system")["metadata"]["uid"] == identity
    assert cluster.pod("gpu-1") == kept
    for server in SERVERS:
        assert len(person.ssh(MEMBERS, machine=server).split()) == 3
    assert "verification: passed" in person.run("verify", seconds=300)


def test_another_driver_waits_for_the_pod_that_may_not_end(cluster: Cluster) -> None:
    person, kept = cluster.person, cluster.pod("gpu-1")

    def modules(agent: str) -> bool:
        return "Open Kernel Module" in person.ssh("cat /proc/driver/nvidia/version", machine=agent)

    file = cluster.write(driver={"openKernelModules": True})
    with watched_by_api(person) as seen:
        said = person.run("up", str(file), status=1, seconds=UP_SECONDS)
    assert "gpu-1 must reboot for its driver, and pods run on it: default/on-gpu-1" in said
    assert (cluster.pod("gpu-1"), modules("gpu-1")) == (kept, False)
    assert seen.most_out(AGENTS) <= 1, seen.out
    person.kubectl("delete", "pod", "on-gpu-1", "--now")
    with watched_by_api(person) as seen:
        cluster.up()
    assert (modules("gpu"), modules("gpu-1")) == (True, True)
    assert (seen.most_out(AGENTS), seen.most_out(SERVERS)) == (1, 0), seen.out
    assert person.output("verification")["passed"] is True
