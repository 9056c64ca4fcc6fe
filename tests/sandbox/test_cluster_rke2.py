"""RKE2's outside on a machine without a GPU: paths, units, kubeconfig, registration, containerd, restarts, reboots."""

import hashlib
import json
import shlex
from pathlib import Path

import pytest
from administrator import Boot, Machine
from cluster import NODE, Cluster, eventually, install_rke2, install_toolkit, unpack_release

import oci_archive
from machine.update import certificate_rotation
from sandbox.mirror import apt_repositories, registry
from sandbox.mirror.packages import Ours
from sandbox.mirror.server import Mirror
from sandbox.rke2 import artifact
from sandbox.tools import toolchain

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(240)]

DATA = "/var/lib/rancher/rke2"
CONTAINERD = f"{DATA}/agent/etc/containerd/config.toml"


@pytest.fixture(scope="module")
def cluster(mirror: Mirror, boot: Boot, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    artifact.publish(mirror.root, toolchain.kubernetes())
    registry.publish_cuda_sample(mirror.root, toolchain.gpu())
    apt_repositories.publish(mirror.root, Ours.built())
    machine = boot(number=41)
    machine.wait_for_cloud_init()
    labels = ["team=mlops", "nvidia.com/mig.config=all-1g.10gb"]
    taints = ["maintenance=no:PreferNoSchedule"]
    cluster = install_rke2(machine, tmp_path_factory.mktemp("rke2"), node_label=labels, node_taint=taints)
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")  # or no pod is taken
    return cluster


@pytest.fixture
def machine(cluster: Cluster) -> Machine:
    return cluster.machine


def test_the_node_registers_with_its_labels_taints_roles_and_address(cluster: Cluster) -> None:
    node = cluster.node()

    labels = node["metadata"]["labels"]
    assert labels["team"] == "mlops"
    assert labels["nvidia.com/mig.config"] == "all-1g.10gb"
    assert labels["node-role.kubernetes.io/control-plane"] == "true"
    assert labels["node-role.kubernetes.io/etcd"] == "true"
    assert {"key": "maintenance", "value": "no", "effect": "PreferNoSchedule"} in node["spec"]["taints"]
    assert {"type": "InternalIP", "address": "10.60.0.41"} in node["status"]["addresses"]


def test_a_label_added_to_the_configuration_later_does_not_reach_the_node(cluster: Cluster, machine: Machine) -> None:
    machine.run("sudo sed -i 's/team=mlops/team=other/' /etc/rancher/rke2/config.yaml")
    machine.run("sudo systemctl restart rke2-server")

    assert cluster.labels()["team"] == "mlops"


def test_the_kubeconfig_is_the_owners_alone_and_points_to_loopback(machine: Machine) -> None:
    assert machine.run("sudo stat -c '%a %U' /etc/rancher/rke2/rke2.yaml") == "600 root"
    assert "server: https://127.0.0.1:6443" in machine.run("sudo cat /etc/rancher/rke2/rke2.yaml")


def test_kubectl_ctr_and_the_version_are_where_rke2_has_them(cluster: Cluster, machine: Machine) -> None:
    kubectl = f"sudo {DATA}/bin/kubectl --kubeconfig /etc/rancher/rke2/rke2.yaml get nodes -o name"
    assert machine.run(kubectl) == f"node/{NODE}"
    assert "Server:" in machine.run(f"sudo {DATA}/bin/ctr -a /run/k3s/containerd/containerd.sock version")
    assert cluster.node()["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://2.")
    assert machine.run("rke2 --version").startswith("rke2 version v1.36.4+rke2r1")
    assert versions(cluster) == ("v1.36.4+rke2r1", "v1.36.4+rke2r1", "v1.36.4+rke2r1")


def versions(cluster: Cluster) -> tuple[str, str, str]:
    """The versions of the process that runs, the API server and the kubelet."""
    process = "sudo /proc/$(systemctl show --property=MainPID --value rke2-server)/exe --version"
    api = json.loads(cluster.kubectl("get", "--raw", "/version"))
    kubelet = cluster.node()["status"]["nodeInfo"]["kubeletVersion"]
    return cluster.machine.run(process).split()[2], str(api["gitVersion"]), str(kubelet)


def test_the_node_token_names_the_cluster_by_the_hash_of_its_authority(machine: Machine) -> None:
    token = machine.run(f"sudo cat {DATA}/server/node-token")
    authority = machine.run(f"sudo cat {DATA}/server/tls/server-ca.crt") + "\n"

    assert token.startswith(f"K10{hashlib.sha256(authority.encode()).hexdigest()}::server:")
    assert machine.run(f"sudo stat -Lc %a {DATA}/server/node-token") == "600"


def test_the_kubelet_may_not_give_its_node_a_role(cluster: Cluster) -> None:
    kubectl = f"sudo {DATA}/bin/kubectl --kubeconfig {DATA}/agent/kubelet.kubeconfig"

    said = cluster.machine.run(f"{kubectl} label node {NODE} node-role.kubernetes.io/fake=true", check=False)

    assert "is not allowed to modify labels: node-role.kubernetes.io/fake" in said


def test_the_kubelet_may_not_read_secrets_of_others(cluster: Cluster) -> None:
    kubectl = f"sudo {DATA}/bin/kubectl --kubeconfig {DATA}/agent/kubelet.kubeconfig"

    said = cluster.machine.run(f"{kubectl} get secrets -A", check=False)

    assert "Forbidden" in said


def test_a_pod_runs_with_an_image_of_the_mirror_and_its_logs_come_through_the_api(cluster: Cluster) -> None:
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    cluster.kubectl("run", "hello", f"--image={image}", "--restart=Never", "--", "echo", "hello from the pod")

    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/hello", "--timeout=60s")
    assert cluster.kubectl("logs", "hello") == "hello from the pod"
    requests = Mirror(cluster.machine.sandbox).access_log.read_text()
    assert "/v2/nvidia/k8s/cuda-sample/manifests/vectoradd-cuda12.5.0-ubuntu22.04?ns=nvcr.io" in requests


def test_an_image_the_mirror_has_not_says_so(cluster: Cluster) -> None:
    cluster.kubectl("run", "missing", "--image=docker.io/library/nothing:1", "--restart=Never")

    eventually("the event", lambda: "not found" in cluster.events("missing"))


def test_images_of_an_archive_run_though_no_registry_has_them_and_are_imported_once_where_rke2_may_note_it(
    cluster: Cluster, machine: Machine, tmp_path: Path
) -> None:
    reference = "registry.example/archived:1"
    registry.publish(tmp_path / "tree", reference, {}, entrypoint=["/bin/echo", "from the archive"])
    oci_archive.write(Mirror(cluster.machine.sandbox).root / "archived.tar.gz", tmp_path / "tree", reference)
    images, mirror = f"{DATA}/agent/images", cluster.machine.sandbox.mirror_address
    machine.run(f"curl -sSf http://{mirror}/archived.tar.gz | sudo tee {images}/archived.tar.gz >/dev/null")
    machine.run(f"sudo touch {images}/.cache.json && sudo systemctl restart rke2-server")
    cluster.kubectl("run", "archived", f"--image={reference}", "--image-pull-policy=Never", "--restart=Never")
    eventually("the pod has run", lambda: cluster.get("pod", "archived")["status"]["phase"], wanted="Succeeded")
    assert cluster.kubectl("logs", "archived") == "from the archive"
    machine.run("sudo systemctl restart rke2-server")
    said = machine.run("sudo journalctl -u rke2-server --no-pager -o cat")
    assert said.count(f"imported the images of {images}/archived.tar.gz") == 1
    machine.run(f"sudo rm {images}/.cache.json && sudo systemctl restart rke2-server")
    said = machine.run("sudo journalctl -u rke2-server --no-pager -o cat")
    assert said.count(f"imported the images of {images}/archived.tar.gz") == 2
    machine.run(f"sudo rm {images}/archived.tar.gz")


def test_the_nvidia_runtime_is_there_after_the_toolkit_and_a_restart_and_not_before(cluster: Cluster) -> None:
    machine = cluster.machine
    assert "nvidia" not in machine.run(f"sudo cat {CONTAINERD}")
    assert cluster.get("runtimeclass", "nvidia")["handler"] == "nvidia"
    overrides = json.dumps({"spec": {"runtimeClassName": "nvidia"}})
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    cluster.kubectl("run", "early", f"--image={image}", "--restart=Never", f"--overrides={overrides}", "--", "true")
    eventually(
        "the event", lambda: 'no runtime for "nvidia" is configured' in cluster.events("early").replace("\\", "")
    )

    install_toolkit(machine)
    assert "nvidia" not in machine.run(f"sudo cat {CONTAINERD}")
    server = machine.run("systemctl show -p MainPID --value rke2-kube-apiserver")
    machine.run("sudo systemctl restart rke2-server")

    assert 'BinaryName = "/usr/bin/nvidia-container-runtime"' in machine.run(f"sudo cat {CONTAINERD}")
    assert machine.run("systemctl show -p MainPID --value rke2-kube-apiserver") == server
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/early", "--timeout=60s")


def test_rotated_certificates_come_with_the_next_start_and_containers_go_on(cluster: Cluster, machine: Machine) -> None:
    """By the steps that a machine does (machine/update/certificate_rotation.py)."""
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    cluster.kubectl("run", "goes-on", f"--image={image}", "--restart=Never", "--", "sleep", "600")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/goes-on", "--timeout=60s")
    container = cluster.get("pod", "goes-on")["status"]["containerStatuses"][0]
    serials = "openssl s_client -connect 127.0.0.1:$port </dev/null 2>/dev/null | openssl x509 -noout -serial"
    look = f"for port in 10250 6443 9345; do {serials}; done; sudo md5sum /etc/rancher/rke2/rke2.yaml"
    before = machine.run(look).split()

    steps = shlex.quote(certificate_rotation.STEPS)
    machine.run(f"sudo systemd-run --quiet --collect --wait /bin/sh -c {steps} sh /usr/local/bin/rke2")

    after = machine.run(look).split()
    assert [old != new for old, new in zip(before, after, strict=True)] == [True, True, True, True, False]
    assert machine.run(f"sudo ls {DATA}/server {DATA} | grep -c -e ^tls- -e ^force-restart") == "1"
    assert cluster.get("pod", "goes-on")["status"]["containerStatuses"][0]["containerID"] == container["containerID"]
    cluster.kubectl("delete", "pod", "goes-on", "--now")


def test_a_snapshot_is_saved_by_the_running_server_listed_and_pruned(machine: Machine) -> None:
    for _ in range(2):
        machine.run("sudo rke2 etcd-snapshot save --name mig-k8s-from-v1.36.4; sleep 1")  # their names have seconds
    machine.run("sudo rke2 etcd-snapshot save")

    machine.run("sudo rke2 etcd-snapshot prune --name mig-k8s-from- --snapshot-retention 1")

    listed = [line.split()[:2] for line in machine.run("sudo rke2 etcd-snapshot ls").splitlines()[1:]]
    assert [name.rpartition("-")[0] for name, _ in listed] == [f"mig-k8s-from-v1.36.4-{NODE}", f"on-demand-{NODE}"]
    assert listed[0][1] == f"file://{DATA}/server/db/snapshots/{listed[0][0]}"
    size = int(machine.run(f"sudo stat -c %s {DATA}/server/db/snapshots/{listed[0][0]}"))
    assert (size > 100_000, size % 512) == (True, 32)  # a whole database, and its SHA-256 behind it


def test_a_snapshot_is_restored_where_nothing_hinders_it_and_what_does_is_told(cluster: Cluster) -> None:
    machine = cluster.machine
    cluster.kubectl("create", "configmap", "before")
    machine.run("sudo rke2 etcd-snapshot save --name kept")
    snapshot = machine.run(f"sudo sh -c 'ls {DATA}/server/db/snapshots/kept-*'")
    cluster.kubectl("create", "configmap", "after")

    def restore(path: str = snapshot, line: str = "") -> str:
        config = "sudo sh -c '(cat /etc/rancher/rke2/config.yaml; echo; cat) | tee /tmp/reset.yaml >/dev/null'"
        machine.run(f"echo '{line}' | {config}")
        flags = f"--cluster-reset --cluster-reset-restore-path={path}"
        # What was there before is moved aside under a name that has seconds.
        return machine.run(f"sleep 1; sudo rke2 server --config /tmp/reset.yaml {flags}", check=False)

    assert "bind: address already in use" in restore()
    assert "invalid flag use" in machine.run("sudo rke2 server --cluster-reset-restore-path=/x", check=False)
    machine.run("sudo systemctl stop rke2-server")
    assert "cannot perform cluster-reset while server URL is set" in restore(line="server: https://10.60.0.9:9345")
    assert "etcd: snapshot path does not exist: /nowhere" in restore("/nowhere")
    machine.run(f"sudo sh -c 'head -c 4096 {snapshot} >/tmp/half'")
    assert "starting kubernetes: " in restore("/tmp/half")  # and the datastore is away, as with the real one

    assert "bootstrap data already found and encrypted with different token" in restore(line="token: of another")
    assert "was previously reset" in restore()
    machine.run(f"sudo rm {DATA}/server/db/reset-flag")
    assert "restart without --cluster-reset flag now" in restore()
    machine.run("sudo timeout 55 systemctl start rke2-server")

    names = cluster.kubectl("get", "configmaps", "-o", "name").split()
    assert ("configmap/before" in names, "configmap/after" in names) == (True, False)
    assert machine.run(f"sudo ls {DATA}/server/db/reset-flag", check=False).endswith("No such file or directory")
    eventually("the node", lambda: cluster.node()["status"]["nodeInfo"]["bootID"], machine.boot_id())
    name = snapshot.rpartition("/")[2]
    machine.run(f"sudo rke2 etcd-snapshot delete {name}")
    assert "not found" in machine.run(f"sudo rke2 etcd-snapshot delete {name}", check=False)


def test_another_release_runs_only_after_a_restart_and_of_an_older_minor_never(
    cluster: Cluster, mirror: Mirror
) -> None:
    machine, old, new = cluster.machine, "v1.36.4+rke2r1", "v1.37.1+rke2r1"
    artifact.publish(mirror.root, toolchain.kubernetes(), new)
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    cluster.kubectl("run", "counting", f"--image={image}", "--restart=Never", "--", "sleep", "600")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/counting", "--timeout=60s")
    before = cluster.get("pod", "counting")["status"]["containerStatuses"][0]["containerID"]

    unpack_release(machine, new)
    assert machine.run("rke2 --version").startswith(f"rke2 version {new}")
    assert versions(cluster) == (old, old, old)

    machine.run("sudo systemctl restart rke2-server")
    eventually("the new version", lambda: versions(cluster), (new, new, new))
    assert cluster.get("pod", "counting")["status"]["containerStatuses"][0]["containerID"] == before

    unpack_release(machine, old)
    machine.run("sudo systemctl restart --no-block rke2-server")
    words = f"the datastore was written by {new}, and {old} cannot go on with it"
    eventually("the refusal", lambda: words in machine.run("sudo journalctl -u rke2-server -o cat"))
    said = machine.run("sudo rke2 etcd-snapshot save", check=False)
    assert "Connection refused" in said

    unpack_release(machine, new)
    eventually("the server", lambda: machine.run("systemctl is-active rke2-server", check=False), "active")
    cluster.kubectl("delete", "pod", "counting", "--now")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nmae: x\\nsnapshotter: zfs", "snapshotter: not stood in for"),
        ("profile: hardened", "profile: expected one of cis, etcd, seen hardened"),
    ],
)
def test_a_configuration_rke2_cannot_use_ends_it_with_the_reason(machine: Machine, line: str, words: str) -> None:
    said = machine.run(f"printf '%b\\n' '{line}' >/tmp/bad.yaml; sudo rke2 server --config /tmp/bad.yaml", check=False)

    assert words in said
    assert "Traceback" not in said


def test_the_cis_profile_names_everything_the_machine_lacks(machine: Machine) -> None:
    machine.run("echo 1 | sudo tee /proc/sys/kernel/panic; echo 'profile: cis' >/tmp/cis.yaml")

    said = machine.run("sudo rke2 server --config /tmp/cis.yaml", check=False)

    assert "invalid kernel parameter value kernel.panic=1 - expected 10" in said
    assert "copy /usr/local/share/rke2/rke2-cis-sysctl.conf to /etc/sysctl.d/60-rke2-cis.conf" in said
    assert "missing required: user: unknown user etcd" in said
    assert "missing required: group: unknown group etcd" in said


def test_a_reboot_takes_the_api_down_and_rke2_brings_it_back(cluster: Cluster) -> None:
    boot_id = cluster.machine.boot_id()
    assert cluster.node()["status"]["nodeInfo"]["bootID"] == boot_id

    cluster.machine.run("sudo systemctl reboot", check=False)
    cluster.machine.wait_for_reboot(boot_id)
    assert cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=2s", check=False) != "ok"

    cluster.machine.run("timeout 55 sh -c 'until systemctl -q is-active rke2-server; do sleep 0.2; done'")
    assert cluster.node()["status"]["nodeInfo"]["bootID"] == cluster.machine.boot_id()
    assert cluster.labels()["team"] == "mlops"


def test_a_server_whose_address_changed_is_not_a_member_any_more(cluster: Cluster) -> None:
    machine, change = cluster.machine, "sudo sed -i 's/^node-ip: .*/node-ip: {}/' /etc/rancher/rke2/config.yaml"
    (link,) = machine.run("ip -o -4 address show | awk '/ 10.60.0.41[/]/ {print $2}'").split()
    machine.run(f"sudo ip address add 10.60.0.141/24 dev {link}")
    machine.run(change.format("10.60.0.141"))
    machine.run("sudo systemctl restart --no-block rke2-server")

    words = "this server is a not a member of the etcd cluster. Found [mlops-k8s-master-"
    eventually("the refusal", lambda: words in machine.run("sudo journalctl -u rke2-server -o cat"))

    machine.run(change.format("10.60.0.41"))
    eventually("the server", lambda: machine.run("systemctl is-active rke2-server", check=False), "active")


def test_uninstalling_leaves_neither_processes_nor_files(cluster: Cluster) -> None:
    machine = cluster.machine

    machine.run("sudo rke2-uninstall.sh")

    ours = "'[/]var/lib/rancher|[/]usr/local/share/rke2'"  # the brackets keep this very command line out
    machine.run(f'timeout 10 sh -c "while pgrep -f {ours}; do sleep 0.2; done"', check=False)
    assert machine.run(f"pgrep -fa {ours}", check=False) == ""
    left = f"ls -d {DATA} /etc/rancher/rke2 /usr/local/bin/rke2* /usr/local/lib/systemd/system/rke2-* 2>/dev/null"
    assert machine.run(left, check=False) == ""
    assert machine.run("systemctl list-units --all --no-legend 'rke2-*'", check=False) == ""
