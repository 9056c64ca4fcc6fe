"""Machines that join: an agent that was there first, what is refused, two more servers, and a server that goes away."""

import shlex

import pytest
import yaml
from administrator import Boot, Machine
from cluster import Cluster, cluster_of, eventually, unpack_rke2

from sandbox.mirror import registry
from sandbox.mirror.server import Mirror
from sandbox.rke2 import artifact
from sandbox.tools import toolchain

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(240)]

DATA = "/var/lib/rancher/rke2"
IMAGE = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
FIRST = "https://10.60.0.61:9345"
TOKEN, AGENT_TOKEN = "what the servers share", "what agents join with"
ETCDCTL = (
    f"sudo curl -sS --cacert {DATA}/server/tls/etcd/server-ca.crt --cert {DATA}/server/tls/etcd/client.crt"
    f" --key {DATA}/server/tls/etcd/client.key -d '{{}}' https://127.0.0.1:2379/v3/cluster/member/list"
)


@pytest.fixture(scope="module")
def agent(mirror: Mirror, boot: Boot) -> Machine:
    """Told to join before there is a server."""
    artifact.publish(mirror.root, toolchain.kubernetes())
    registry.publish_cuda_sample(mirror.root, toolchain.gpu())
    machine = boot(number=64)
    machine.wait_for_cloud_init()
    unpack_rke2(machine, node_name="worker", server=FIRST, token=AGENT_TOKEN, node_label=["team=mlops"])
    machine.run("sudo systemctl enable rke2-agent && sudo systemctl start --no-block rke2-agent")
    return machine


@pytest.fixture(scope="module")
def cluster(agent: Machine, boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster of one server, seen after the agent has said what it waits for."""
    eventually(
        "the agent waits", lambda: "Connection refused" in journal(agent) or "No route to host" in journal(agent)
    )
    first = server(boot, 61)
    wait_until_up(first)
    return cluster_of(first, tmp_path_factory.mktemp("joining"))


def server(boot: Boot, number: int, **config: object) -> Machine:
    machine = boot(number=number)
    machine.wait_for_cloud_init()
    tokens = {"token": TOKEN, "agent_token": AGENT_TOKEN}
    named = {"node_name": f"server-{number}", "tls_san": [machine.spec.public_address], "cni": "calico"}
    unpack_rke2(machine, **{**tokens, **named, **config})
    machine.run("sudo systemctl enable rke2-server && sudo systemctl start --no-block rke2-server")
    return machine


def wait_until_up(machine: Machine) -> None:
    seen = "systemctl is-active rke2-server || sudo journalctl -u rke2-server -o cat | tail -3"
    eventually("the server is up", lambda: machine.run(seen, check=False), "active", seconds=120)


def journal(machine: Machine) -> str:
    return machine.run("sudo journalctl -u rke2-agent -o cat")


def said_by(machine: Machine, role: str = "agent", **config: object) -> str:
    """What `rke2 agent` says within a few seconds with this configuration instead of its own."""
    content = {key.replace("_", "-"): value for key, value in {"server": FIRST, "token": AGENT_TOKEN, **config}.items()}
    written = f"echo {shlex.quote(yaml.safe_dump(content))} | sudo tee /tmp/other.yaml >/dev/null"
    return machine.run(f"{written}; sudo timeout 5 rke2 {role} --config /tmp/other.yaml", check=False)


def node_names(cluster: Cluster) -> dict[str, str]:
    """Ready nodes and their roles, as `kubectl get nodes` shows them."""
    rows = [line.split() for line in cluster.kubectl("get", "nodes", "--no-headers", check=False).splitlines()]
    return {row[0]: row[2] for row in rows if len(row) > 2 and row[1] == "Ready"}


def run_pod(cluster: Cluster, name: str, node: str, *command: str) -> str:
    """The log of a pod on this node."""
    override = f'--overrides={{"spec": {{"nodeName": "{node}"}}}}'
    cluster.kubectl("run", name, f"--image={IMAGE}", "--restart=Never", override, "--", *command)
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=60s")
    return cluster.kubectl("logs", name)


def test_an_agent_that_was_first_joins_when_its_server_is_there(cluster: Cluster, agent: Machine) -> None:
    eventually("both nodes", lambda: node_names(cluster), {"server-61": "control-plane,etcd", "worker": "<none>"})

    assert "Waiting to retrieve agent configuration; server is not ready" in journal(agent)
    assert cluster.get("node", "worker")["metadata"]["labels"]["team"] == "mlops"
    eventually("the unit", lambda: agent.run("systemctl is-active rke2-agent", check=False), "active")


@pytest.mark.usefixtures("cluster")
def test_an_agent_has_neither_control_plane_nor_the_administrators_kubeconfig(agent: Machine) -> None:
    units = agent.run("systemctl list-units --no-legend --plain 'rke2-*' | cut -d' ' -f1").split()

    ours = ["rke2-agent.service", "rke2-containerd.service", "rke2-kube-proxy.service", "rke2-kubelet.service"]
    assert units == ours
    assert agent.run(f"sudo ls /etc/rancher/rke2/rke2.yaml {DATA}/server 2>&1 | grep -c 'No such file'") == "2"


@pytest.mark.usefixtures("cluster")
def test_the_agents_certificate_is_for_its_own_node_alone(agent: Machine) -> None:
    subject = agent.run(f"sudo openssl x509 -noout -subject -in {DATA}/agent/client-kubelet.crt")
    kubectl = f"sudo {DATA}/bin/kubectl --kubeconfig {DATA}/agent/kubelet.kubeconfig"

    assert subject == "subject=O = system:nodes, CN = system:node:worker"
    said = agent.run(f"{kubectl} label node server-61 mine=true", check=False)
    assert "node 'worker' cannot read 'server-61', only its own Node object" in said


def test_a_pod_on_the_agent_reaches_the_api_by_the_service_and_its_log_comes_back(cluster: Cluster) -> None:
    said = run_pod(
        cluster, "hello", "worker", "sh", "-c", "nc -w 5 $KUBERNETES_SERVICE_HOST 443 </dev/null && echo open"
    )

    assert said == "open"
    assert cluster.get("pod", "hello")["status"]["podIP"].startswith("10.42.64.")


def test_no_secret_of_joining_is_seen_by_others(cluster: Cluster, agent: Machine) -> None:
    for machine in (cluster.machine, agent):
        password = machine.run("sudo cat /etc/rancher/node/password")
        words = f"{TOKEN}\n{AGENT_TOKEN}\n{password}"
        assert machine.run(f"sudo grep -lF {shlex.quote(words)} /etc/rancher/node/password") != ""
        search = f"grep -rlsF {shlex.quote(words)} /var/lib/rancher /etc/rancher /var/log /run"
        assert machine.run(f"sudo -u nobody {search}", check=False) == ""
        assert machine.run(f"sudo journalctl | grep -F {shlex.quote(words)} | grep -vc sudo", check=False) == "0"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"token": "guessed"},
            "/v1-rke2/config: 401 Unauthorized: the token is not this cluster's; a server has it in",
        ),
        ({"token": TOKEN}, "401 Unauthorized"),  # not valid for an agent where agents have a token of their own
        (
            {"token": f"K10{'0' * 64}::node:{AGENT_TOKEN}"},
            "token CA hash does not match the Cluster CA certificate hash: 000",
        ),
        ({"node_name": "server-61"}, "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/"),
        ({"server": ""}, "server: is required to run an agent: https://<address of a server>:9345"),
        ({"token": "K10abc"}, "token: invalid token format"),
    ],
)
def test_what_cannot_join_is_told_why(agent: Machine, config: dict[str, str], words: str) -> None:
    said = said_by(agent, **config)

    assert words in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"token": AGENT_TOKEN}, "401 Unauthorized"),
        ({"token": TOKEN, "cluster_cidr": "10.44.0.0/16"}, "critical configuration value mismatch between servers"),
    ],
)
def test_what_can_be_no_server_is_told_why(agent: Machine, config: dict[str, str], words: str) -> None:
    said = said_by(agent, "server", node_name="server-9", cni="calico", **config)

    assert words in said
    assert "Traceback" not in said
    assert agent.run(f"sudo ls {DATA}/server/tls 2>&1", check=False).endswith("No such file or directory")


def test_a_deleted_nodes_name_may_be_taken_by_another_machine(cluster: Cluster, agent: Machine) -> None:
    agent.run("sudo systemctl stop rke2-agent")
    agent.run("sudo rm /etc/rancher/node/password")
    assert "kubectl delete node worker" in said_by(agent, node_name="worker")

    cluster.kubectl("delete", "node", "worker")
    agent.run("sudo systemctl start --no-block rke2-agent")

    eventually("the node is there again", lambda: "worker" in node_names(cluster))


@pytest.fixture(scope="module")
def second(cluster: Cluster, boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """One of two more servers that joined at the same time: one with the whole token, one with the password."""
    whole = cluster.machine.run(f"sudo cat {DATA}/server/node-token")
    joining = [server(boot, 62, server=FIRST, token=whole), server(boot, 63, server=FIRST)]
    for machine in joining:
        wait_until_up(machine)
    return cluster_of(joining[0], tmp_path_factory.mktemp("second"))


def test_three_servers_are_three_etcd_members_with_a_vote(second: Cluster) -> None:
    roles = dict.fromkeys(["server-61", "server-62", "server-63"], "control-plane,etcd")
    eventually("all nodes", lambda: node_names(second), {**roles, "worker": "<none>"})

    listed = second.machine.run(ETCDCTL)

    assert listed.count('"name":"server-6') == 3
    assert "isLearner" not in listed


def test_servers_elect_who_is_controller_manager_and_scheduler(cluster: Cluster, second: Cluster) -> None:
    for name in ("kube-controller-manager", "kube-scheduler"):
        for machine in (cluster.machine, second.machine):
            assert "--leader-elect=true" in machine.run(f"systemctl cat rke2-{name}")
        assert second.get("lease", name, "-n", "kube-system")["spec"]["holderIdentity"] != ""


def test_the_cluster_lives_on_without_its_first_server(cluster: Cluster, second: Cluster, agent: Machine) -> None:
    servers = f"sudo cat {DATA}/agent/etc/rke2-api-server-agent-load-balancer.json"
    known = '["10.60.0.61:6443", "10.60.0.62:6443", "10.60.0.63:6443"]'
    eventually("the agent knows all servers", lambda: agent.run(servers), known)

    cluster.machine.run("sudo rke2-killall.sh")

    eventually("the API of another", lambda: second.kubectl("get", "--raw", "/readyz", check=False), "ok")
    assert run_pod(second, "afterwards", "worker", "echo", "still here") == "still here"
    # It comes back through another server as well.
    agent.run("sudo timeout 55 systemctl restart rke2-agent")


def test_a_servers_name_is_free_again_when_its_node_is_deleted(second: Cluster, cluster: Cluster, boot: Boot) -> None:
    """A machine of that name comes first: it is refused until then, and joins by itself afterwards."""
    replaced = server(boot, 65, server="https://10.60.0.62:9345", node_name="server-61")
    password = cluster.machine.run("sudo cat /etc/rancher/node/password")
    replaced.run(f"echo {password} | sudo install -D -m 600 /dev/stdin /etc/rancher/node/password")
    words = "etcd cluster join failed: duplicate node name found, please use a unique name for this node"
    eventually("the refusal", lambda: words in replaced.run("sudo journalctl -u rke2-server -o cat"))
    assert second.machine.run(ETCDCTL).count('"name":"server-61-') == 1

    second.kubectl("delete", "node", "server-61", "--timeout=30s")

    wait_until_up(replaced)
    listed = second.machine.run(ETCDCTL)
    assert (listed.count('"name":"server-6'), listed.count("https://10.60.0.61:2380")) == (3, 0)


def test_without_a_quorum_the_api_is_gone(second: Cluster, boot: Boot) -> None:
    lost = [machine for machine in boot.machines if machine.spec.private_address in ("10.60.0.63/24", "10.60.0.65/24")]
    assert len(lost) == 2
    for machine in lost:
        machine.run("sudo rke2-killall.sh")

    said = second.kubectl("create", "configmap", "anything", "--request-timeout=8s", check=False)

    assert "created" not in said
    assert second.kubectl("get", "--raw", "/readyz", "--request-timeout=8s", check=False) != "ok"
