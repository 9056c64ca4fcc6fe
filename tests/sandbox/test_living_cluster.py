"""One cluster through its life, while a pod that nobody names holds a device: layouts, agents, servers, pools come and
go. The pod goes on, on the same device, and its machine is never rebooted."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from administrator import KeyPair
from api_watch import watched_by_api
from command_line import CHECKOUT, NODE, CommandLine, own_sandbox, wait_for_line
from lives import up_as_said

from sandbox import private_file
from sandbox.engine.environment import Environment
from sandbox.host import access

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]

IMAGE = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
AT_WORK = f"""
{{apiVersion: v1, kind: Pod, metadata: {{name: at-work}}, spec: {{restartPolicy: Never, runtimeClassName: nvidia,
  containers: [{{name: c, command: [sleep, "3600"], image: "{IMAGE}",
                 resources: {{limits: {{nvidia.com/mig-3g.40gb: 1}}}}}}]}}}}
"""
"""The pod that nobody names."""
IN_THE_WAY = f"""
{{apiVersion: v1, kind: Pod, metadata: {{name: in-the-way}}, spec: {{restartPolicy: Never, containers: [{{name: c,
  command: [sleep, "3600"], image: "{IMAGE}", resources: {{limits: {{nvidia.com/mig-7g.80gb: 1}}}}}}]}}}}
"""
"""A pod on the agent that is removed."""
ENDS_IN_50_DAYS = """
set -e
cd /var/lib/rancher/rke2/server/tls
shown=/var/lib/rancher/rke2/agent/serving-kubelet.crt
names=$(openssl x509 -in $shown -noout -ext subjectAltName | tail -1 | sed "s/IP Address/IP/g")
echo "subjectAltName=$names" >/run/names
openssl x509 -in $shown -noout -pubkey >/run/public
signer="-CA server-ca.crt -CAkey server-ca.key -set_serial 7"
openssl x509 -new -force_pubkey /run/public -subj /CN=a $signer -days 50 -extfile /run/names -out $shown
systemctl restart rke2-kubelet
"""
"""Makes the certificate of a server's kubelet one that does, as it would be on a machine that has run for long."""
HOST_SECRET = "a:0123456789abcdef0123456789abcdef"
RKE2 = "rke2-server.service"
FIRST = {"name": NODE, "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"3g.40gb": 1, "1g.10gb": 4}}
AGENT = {"name": "gpu", "role": "agent", "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"7g.80gb": 1}}
SERVERS = {"name": "server", "role": "server", "count": 2, "vmSize": "Standard_D4s_v5"}
MIDDLE = {"name": "middle", "role": "agent", "vmSize": "Standard_D4s_v5"}


class Cluster:
    """The sandbox, and what must be the same after every step. Every `up` but the first does what the digest says."""

    def __init__(self, person: CommandLine, folder: Path) -> None:
        self.person, self.folder = person, folder
        self.ssh: dict[str, Any] = {}
        """Other keys of the administrator than the stack file's."""

    def up(self, *pools: dict[str, Any]) -> str:
        config: dict[str, Any] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())["config"]
        config["mig-k8s:mig"] = {"strategy": "mixed", "onChange": "drain"}
        config["mig-k8s:ssh"] |= self.ssh
        if pools:
            config["mig-k8s:nodePools"] = list(pools)
        file = self.folder / "stack.yaml"
        file.write_text(yaml.safe_dump({"config": config}))
        return up_as_said(self.person, file, seconds=500) if self.person.stacks else self.person.up(file, seconds=500)

    def logs_in_by(self, key: KeyPair) -> None:
        """The person has another key from the next command on."""
        environment = Environment(self.person.root, machines=True)
        environment.set_secret("sshPrivateKey", key.private)
        private_file.write(environment.admin_key, key.private)
        private_file.write(environment.admin_key.with_suffix(".pub"), f"{key.public}\n")

    def give_host_secrets(self, **secrets: str | None) -> None:
        """Set these secrets of host keys; None: take it away."""
        environment = Environment(self.person.root, machines=True)
        for key, secret in secrets.items():
            if secret is not None:
                environment.set_secret(key, secret)
            else:
                environment.output("config", "rm", f"mig-k8s:{key}", project=self.person.root / "pulumi/project")

    def ends_within_60_days(self) -> list[str]:
        """The machines whose kubelet shows a certificate that the verification warns of."""
        shown = "openssl s_client -connect 127.0.0.1:10250 </dev/null 2>/dev/null"
        look = f"{shown} | openssl x509 -noout -checkend {60 * 24 * 3600} >/dev/null; echo $?"
        names = sorted(login.name for login in access.logins(self.person.sandbox))
        return [name for name in names if self.person.ssh(look, machine=name).strip() != "0"]

    def host_keys(self) -> dict[str, set[str]]:
        """What each machine shows to whoever dials it: the kinds of its host keys."""
        found = {}
        for login in access.logins(self.person.sandbox):
            command = ["ssh-keyscan", "-T", "10", "-t", "ed25519,ecdsa", login.address]
            seen = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            found[login.name] = {line.split()[1] for line in seen.splitlines() if not line.startswith("#")}
        return found

    def opened_by(self, key: KeyPair) -> set[str]:
        """The machines that this key opens."""
        file, root = self.folder / "tried", self.person.root
        private_file.write(file, key.private)
        options = ["-F", "none", "-i", str(file), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        known = f"UserKnownHostsFile={root / 'known_hosts'} {root / 'known_hosts_told'}"
        options += ["-o", known, "-o", "StrictHostKeyChecking=yes"]
        opened = set()
        for login in access.logins(self.person.sandbox):
            command = ["ssh", *options, f"{login.user}@{login.address}", "true"]
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 0 or "Permission denied (publickey)" in done.stderr, done.stderr
            opened |= {login.name} if done.returncode == 0 else set()
        return opened

    def kept(self) -> dict[str, Any]:
        """The pod, its process, its device; and the boot of its machine."""
        pod = self.person.get("pod", "at-work")
        (container,) = pod["status"]["containerStatuses"]
        return {
            "uid": pod["metadata"]["uid"],
            "container": container["containerID"],
            "running": "running" in container["state"],
            "device": self._device(),
            "boot": self.person.boot_id(),
        }

    def _device(self) -> str:
        """What the pod sees. A kubelet that has just started knows none of its pods for a moment."""
        seen = ("exec", "at-work", "--", "nvidia-smi", "-L")
        return self.person.eventually("the kubelet runs a command in the pod", *seen, seconds=30)

    def identity(self) -> str:
        """Which cluster it is."""
        return str(self.person.get("namespace", "kube-system")["metadata"]["uid"])

    def nodes(self) -> list[str]:
        return sorted(node["metadata"]["name"] for node in self.person.get("nodes")["items"])


@pytest.fixture(scope="module")
def cluster(obstacle: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The tutorial's machine, up."""
    with own_sandbox(obstacle, "living") as person:
        made = Cluster(person, tmp_path_factory.mktemp("stacks"))
        made.up()
        yield made


@pytest.fixture(scope="module")
def keys(cluster: Cluster) -> tuple[KeyPair, KeyPair]:
    """The administrator's: by which the cluster was made, and the next one."""
    own = Environment(cluster.person.root, machines=True).admin_key
    first = KeyPair(own.read_text(), own.with_suffix(".pub").read_text().strip())
    return first, KeyPair.make(cluster.folder, "second")


@pytest.fixture(scope="module")
def kept(cluster: Cluster) -> dict[str, Any]:
    """What the pod was when it began."""
    cluster.person.kubectl("apply", "-f", "-", stdin=AT_WORK)
    cluster.person.kubectl("wait", "--for=condition=Ready", "pod/at-work", "--timeout=50s")
    return cluster.kept()


def test_another_layout_of_its_gpu_keeps_the_device_that_the_pod_holds(cluster: Cluster, kept: dict[str, Any]) -> None:
    cluster.up(FIRST)
    assert sorted(cluster.person.mig_devices().values()) == ["1g.10gb"] * 4 + ["3g.40gb"]
    assert cluster.kept() == kept


def test_the_first_agent_joins_a_server_that_was_made_without_others(cluster: Cluster, kept: dict[str, Any]) -> None:
    cluster.up(FIRST, AGENT)
    assert cluster.nodes() == ["gpu", NODE]
    assert cluster.kept() == kept


def test_two_more_servers_make_three(cluster: Cluster, kept: dict[str, Any]) -> None:
    cluster.up(FIRST, SERVERS, AGENT)
    assert cluster.nodes() == ["gpu", NODE, "server", "server-1"]
    assert cluster.kept() == kept


def test_the_one_address_of_three_servers_answers_without_the_first_one(cluster: Cluster, kept: dict[str, Any]) -> None:
    person = cluster.person
    person.ssh("sudo systemctl stop rke2-server")
    try:
        # The load balancer finds out within two probes, 10 s; a request of that time may fail.
        person.eventually("the API answers without the first server", "get", "nodes", seconds=30)
        assert cluster.nodes() == ["gpu", NODE, "server", "server-1"]
    finally:
        person.ssh("sudo systemctl start rke2-server")
    person.kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=50s")
    assert cluster.kept() == kept


def test_another_token_is_taken_by_every_server_and_agent_while_a_pod_holds_a_device(
    cluster: Cluster, kept: dict[str, Any]
) -> None:
    person, token = cluster.person, "another-token-of-the-same-stack"
    before = person.ssh("sudo cat /etc/rancher/rke2/token", machine="gpu")
    Environment(person.root, machines=True).set_secret("rke2Token", token)
    # When its turn comes it cannot be asked any more, and would not start with the old token.
    person.ssh("sudo systemctl stop rke2-server", machine="server-1")
    said = person.up(cluster.folder / "stack.yaml", seconds=500)
    assert said.count("token          the cluster gets that of the stack") == 1
    assert said.count("token          the cluster has that of the stack already") == 2
    assert token not in said
    servers = (NODE, "server", "server-1")
    assert {person.ssh("sudo cat /etc/rancher/rke2/token", machine=name) for name in servers} == {f"{token}\n"}
    agents = person.ssh("sudo cat /etc/rancher/rke2/token", machine="gpu")
    assert agents not in (before, f"{token}\n")
    # All of them start by themselves with what is on their disks, twice: what RKE2 refuses, it refuses the second time.
    for _ in range(2):
        for name in servers:
            person.ssh("sudo systemctl restart rke2-server", machine=name)
        person.ssh("sudo systemctl restart rke2-agent", machine="gpu")
    person.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=50s")
    assert cluster.kept() == kept


def test_certificates_near_their_end_are_made_anew_on_every_machine_while_a_pod_holds_a_device(
    cluster: Cluster, kept: dict[str, Any]
) -> None:
    person, kubeconfig = cluster.person, access.kubeconfig(cluster.person.root)
    servers = (NODE, "server", "server-1")
    before = kubeconfig.read_text()  # that of any server: each has its own, and they share an address
    for server in servers:
        person.ssh(f"sudo sh -c '{ENDS_IN_50_DAYS}'", machine=server)
    person.ssh("sudo touch /var/lib/mig-k8s/certificates-rotate", machine="gpu")  # one that was cut off there
    assert cluster.ends_within_60_days() == [*servers]
    # The connection is lost while the second server has stopped RKE2.
    command = person.started("rotate-certificates")
    wait_for_line(command, "server: RKE2 stops, and starts with new certificates", seconds=200)
    kill_with_children(command)
    with watched_by_api(person) as seen:
        said = person.run("rotate-certificates", seconds=400)
    new = {
        name for name in (*servers, "gpu") if f"{name} has new certificates, the first of them ends in 364 days" in said
    }
    # What was under way on the second server came to its end by itself; or, where that was too early, is done again.
    assert new | {"server"} == {"server", "server-1", "gpu"}, said
    assert f"{NODE} has certificates of today: nothing to do" in said  # as all machines of a cluster that is young
    assert seen.most_out({*servers}) <= 1, seen.out
    assert cluster.ends_within_60_days() == []
    assert kubeconfig.read_text() != before
    assert cluster.nodes() == ["gpu", NODE, "server", "server-1"]
    # RKE2 shows the new ones after any later start too.
    person.ssh("sudo systemctl restart rke2-agent", machine="gpu")
    person.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=50s")
    assert cluster.kept() == kept


def kill_with_children(command: "subprocess.Popen[str]") -> None:
    """End it as when the machine that it runs on is switched off: neither it nor its ssh ends in an orderly way."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    for pid in (command.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    command.communicate(timeout=30)


def test_a_pool_in_the_middle_comes_and_goes_while_another_ssh_key_and_host_keys_come(
    cluster: Cluster, kept: dict[str, Any], keys: tuple[KeyPair, KeyPair]
) -> None:
    machines, (first, second) = set(cluster.person.sandbox.machine_ids), keys
    cluster.ssh = {"otherPublicKeys": [second.public]}
    cluster.give_host_secrets(sshOtherHostSecret=HOST_SECRET)
    cluster.up(FIRST, SERVERS, MIDDLE, AGENT)
    assert cluster.nodes() == ["gpu", "middle", NODE, "server", "server-1"]
    assert machines < set(cluster.person.sandbox.machine_ids)
    assert cluster.opened_by(second) == cluster.opened_by(first) == {"gpu", "middle", NODE, "server", "server-1"}
    assert all({"ssh-ed25519", "ecdsa-sha2-nistp256"} <= kinds for kinds in cluster.host_keys().values())
    # From here on by the second one; the machine that goes leaves by the first one yet. Host keys likewise.
    cluster.logs_in_by(second)
    cluster.give_host_secrets(sshHostSecret=HOST_SECRET, sshOtherHostSecret=None)
    cluster.ssh = {"publicKey": second.public, "otherPublicKeys": [first.public]}
    cluster.up(FIRST, SERVERS, AGENT)
    assert cluster.nodes() == ["gpu", NODE, "server", "server-1"]
    assert set(cluster.person.sandbox.machine_ids) == machines
    assert cluster.kept() == kept


def test_an_agent_is_removed_under_load_and_the_old_ssh_key_and_host_key_go(
    cluster: Cluster, kept: dict[str, Any], keys: tuple[KeyPair, KeyPair]
) -> None:
    cluster.ssh = {"publicKey": keys[1].public}
    cluster.give_host_secrets(sshHostKey=None)
    cluster.person.kubectl("apply", "-f", "-", stdin=IN_THE_WAY)
    cluster.person.kubectl("wait", "--for=condition=Ready", "pod/in-the-way", "--timeout=50s")
    said = cluster.up(FIRST, SERVERS)
    assert "evicts pod default/in-the-way, because gpu is removed" in said
    assert [pod["metadata"]["name"] for pod in cluster.person.get("pods")["items"]] == ["at-work"]
    assert cluster.nodes() == [NODE, "server", "server-1"]
    assert [cluster.opened_by(key) for key in keys] == [set(), {NODE, "server", "server-1"}]
    assert cluster.host_keys() == {name: {"ecdsa-sha2-nistp256"} for name in (NODE, "server", "server-1")}
    assert len({line.split()[-1] for line in cluster.person.output("knownHosts").values()}) == 3
    assert cluster.kept() == kept


def test_another_pool_that_comes_to_stand_first_founds_no_cluster(cluster: Cluster, kept: dict[str, Any]) -> None:
    before, machines = cluster.identity(), set(cluster.person.sandbox.machine_ids)
    started = f"systemctl show -P ActiveEnterTimestampMonotonic {RKE2}"
    since = {name: cluster.person.ssh(started, machine=name) for name in (NODE, "server", "server-1")}
    cluster.up(SERVERS, FIRST)
    assert cluster.identity() == before
    assert set(cluster.person.sandbox.machine_ids) == machines
    assert {name: cluster.person.ssh(started, machine=name) for name in since} == since, "RKE2 was restarted"
    assert cluster.kept() == kept


def test_back_to_one_machine_two_servers_leave_one_after_the_other(cluster: Cluster, kept: dict[str, Any]) -> None:
    cluster.up(FIRST)
    assert cluster.nodes() == [NODE]
    assert cluster.kept() == kept, "it is not the pod of the first step, on its device"
