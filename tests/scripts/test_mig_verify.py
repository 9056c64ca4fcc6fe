"""mig-verify against a kubectl whose cluster shows what the test says: what it does, and what pods may see."""

import json
import re
from pathlib import Path

import pytest
from kubernetes_on_machine import Cluster
from mig_verify_on_machine import (
    EVERYTHING,
    NAME,
    UUIDS,
    failed,
    log,
    pod_name,
    react,
    shows,
    tutorial_cluster,
    verify,
    waiting,
)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return tutorial_cluster(tmp_path)


def test_a_cluster_as_promised_passes_and_nothing_is_left(cluster: Cluster) -> None:
    code, report, said = verify(cluster, own_process=True)
    assert code == 0, said
    assert report["passed"] is True
    assert report["devices"] == [
        {
            "node": NAME,
            "pod": pod_name(profile),
            "profile": profile,
            "uuid": uuid,
            "gpu": "GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b",
        }
        for profile, uuid in UUIDS.items()
    ]
    assert {check["name"] for check in report["checks"]} >= {"ready", "allocatable", "labels", "devices are distinct"}
    assert cluster.objects()["namespaces"] == []
    assert [pod for pod in cluster.objects()["pods"] if pod["metadata"]["namespace"] == "mig-k8s-verify"] == []
    assert "14 of 14 checks passed" in said


def test_the_progress_says_each_thing_once_in_short_lines(cluster: Cluster) -> None:
    _, _, said = verify(cluster)
    assert re.fullmatch(
        r"·  \d+ s: all nodes show what is expected\n"
        r"·  \d+ s: one pod per device: 3\n"
        r"14 of 14 checks passed in \d+ s\n",
        said,
    ), said


def test_no_progress_line_carries_what_kubernetes_says_over_several_lines(cluster: Cluster) -> None:
    words = "failed to pull image:\n\trpc error\n" + "x" * 300
    status = {
        "phase": "Pending",
        "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": words}}}],
    }
    react(cluster, "2g.20gb", status=status)
    _, _, said = verify(cluster, seconds=0)
    lines = [line for line in said.splitlines() if "waiting for mig-mixed-2g-20gb-0: ErrImagePull" in line]
    assert lines[0].startswith("·  ")
    assert "failed to pull image: / rpc error / xxx" in lines[0]
    assert max(map(len, lines)) == 203


def test_all_pods_are_made_at_once_before_any_log_is_read(cluster: Cluster) -> None:
    verify(cluster)
    verbs = [call.split()[1] for call in cluster.machine.calls("kubectl") if call.split()[1] in ("create", "logs")]
    assert verbs == ["create", "create", "logs", "logs", "logs", "create"]


def test_devices_are_given_back_before_the_namespace_goes(cluster: Cluster) -> None:
    """Kubernetes begins with the content of a namespace only 5 s after it was told to delete it."""
    verify(cluster)
    *_, pods, namespace = cluster.machine.calls("kubectl")
    assert pods == "kubectl delete pods --all -n mig-k8s-verify --wait=false"
    assert namespace.startswith("kubectl delete namespace mig-k8s-verify ")


def test_pods_pass_pod_security_restricted_and_take_one_device_each(cluster: Cluster) -> None:
    cluster.change(namespace_stays=False)
    cluster.machine.write("var/lib/rancher/rke2/bin/kept", "")
    kubectl = cluster.machine.root / "var/lib/rancher/rke2/bin/kubectl"
    text = kubectl.read_text(encoding="utf-8").replace(
        "    manifest = json.load(sys.stdin)\n",
        "    manifest = json.load(sys.stdin)\n"
        '    (state / "manifests").open("a").write(json.dumps(manifest) + "\\n")\n',
    )
    kubectl.write_text(text, encoding="utf-8")
    verify(cluster)
    lines = (cluster.machine.state / "manifests").read_text(encoding="utf-8").splitlines()
    namespace, pods, more = (json.loads(line) for line in lines)
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    spec = pods["items"][0]["spec"]
    assert spec["runtimeClassName"] == "nvidia"
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": NAME}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"] == {"limits": {"nvidia.com/mig-3g.40gb": 1}}
    assert [pod["metadata"]["name"] for pod in more["items"]] == [
        "mig-mixed-3g-40gb-0-more",
        "mig-mixed-2g-20gb-0-more",
        "mig-mixed-1g-10gb-0-more",
    ]


def test_pods_of_a_killed_run_are_deleted_first(cluster: Cluster) -> None:
    left = {"metadata": {"name": "old", "namespace": "mig-k8s-verify"}, "spec": {}, "status": {"phase": "Running"}}
    cluster.change(namespaces=[{"kind": "Namespace", "metadata": {"name": "mig-k8s-verify"}}], pods=[left])
    assert verify(cluster)[0] == 0


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (log("1g.10gb"), "MIG device 1g.10gb"),
        (EVERYTHING + "mig-verify: compute passed\n", "MIG device 3g.40gb, MIG device 2g.20gb, MIG device 1g.10gb"),
        (log(None), "a whole GPU"),
        ("GPU 0: A100 (UUID: GPU-0)\n" + log("2g.20gb"), "GPU 0, GPU 0"),
        (
            "sh: nvidia-smi: not found\nmig-verify: compute absent\n",
            "sh: nvidia-smi: not found / mig-verify: compute absent",
        ),
    ],
)
def test_a_pod_that_sees_anything_else_than_its_device_fails(cluster: Cluster, text: str, seen: str) -> None:
    react(cluster, "2g.20gb", log=text)
    code, report, _ = verify(cluster)
    assert code == 1
    check = failed(report)[0]
    assert (check["name"], check["expected"], check["seen"]) == (
        "mig-mixed-2g-20gb-0 sees its device",
        "MIG device 2g.20gb",
        seen,
    )


def test_two_pods_on_the_same_device_fail(cluster: Cluster) -> None:
    react(cluster, "2g.20gb", log=log("2g.20gb", UUIDS["3g.40gb"]))
    _, report, _ = verify(cluster)
    (check, machine) = failed(report)
    assert check["seen"] == f"2 different devices, shared: {UUIDS['3g.40gb']}"
    assert machine["seen"] == f"no pod saw {UUIDS['2g.20gb']}"


def test_a_device_the_machine_does_not_have_fails(cluster: Cluster) -> None:
    react(cluster, "2g.20gb", log=log("2g.20gb", "MIG-00000000-0000-5000-8000-000000000000"))
    _, report, _ = verify(cluster)
    (check,) = failed(report)
    assert (check["name"], check["node"], check["expected"]) == (
        "devices are the machine's",
        NAME,
        "those of its nvidia-smi -L",
    )
    assert check["seen"] == (
        "MIG-00000000-0000-5000-8000-000000000000 is not of this machine, "
        "no pod saw MIG-46602d72-bafb-513e-a79c-03cd078519b4"
    )


def test_one_pod_more_than_devices_that_gets_one_fails(cluster: Cluster) -> None:
    react(cluster, "1g.10gb-0-more", status={"phase": "Running"})
    code, report, _ = verify(cluster)
    assert code == 1
    (check,) = failed(report)
    assert (check["name"], check["expected"], check["seen"]) == (
        "one more nvidia.com/mig-1g.10gb",
        "Pending",
        "Running: it was given a device",
    )
    assert cluster.objects()["namespaces"] == []


def test_a_device_that_is_seen_but_does_not_compute_fails(cluster: Cluster) -> None:
    react(cluster, "2g.20gb", log=log("2g.20gb", compute="failed"))
    _, report, _ = verify(cluster)
    assert [(check["name"], check["seen"]) for check in failed(report)] == [("mig-mixed-2g-20gb-0 computes", "failed")]


def test_an_image_without_the_sample_is_said_to_prove_less(cluster: Cluster) -> None:
    react(cluster, "2g.20gb", log=log("2g.20gb", compute="absent"))
    code, report, _ = verify(cluster)
    assert code == 0
    (check,) = [check for check in report["checks"] if check["name"] == "mig-mixed-2g-20gb-0 computes"]
    assert check["expected"] == "no sample in this image"


def test_whole_gpus_are_counted_by_gpu(cluster: Cluster) -> None:
    shows(cluster, allocatable={"nvidia.com/gpu": "1"})
    device = {"pod": "mig-none-gpu-0", "resource": "nvidia.com/gpu", "profile": None, "compute": False}
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 1}, "absent": [], "labels": {}, "devices": [device]}
    more = {"status": waiting("nvidia.com/gpu")}
    cluster.change(reactions={"mig-none-gpu-0": {"log": log(None, compute="failed")}, "mig-none-gpu-0-more": more})
    code, report, _ = verify(cluster, nodes=[wanted])
    assert code == 0
    assert report["devices"][0]["uuid"] == "GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b"
