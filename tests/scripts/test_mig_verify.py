"""mig-verify against a kubectl whose cluster shows what the test says."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes_on_machine import Cluster, node
from scripted_machine import FIRST_BOOT, SECOND_BOOT, Machine

NAME = "mlops-k8s-master"
ALLOCATABLE = {"nvidia.com/mig-3g.40gb": "1", "nvidia.com/mig-2g.20gb": "1", "nvidia.com/mig-1g.10gb": "1"}
LABELS = {"nvidia.com/mig.strategy": "mixed", "nvidia.com/mig.capable": "true"}
# The tutorial's devices.
UUIDS = {
    "3g.40gb": "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c",
    "2g.20gb": "MIG-46602d72-bafb-513e-a79c-03cd078519b4",
    "1g.10gb": "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422",
}
GPU = "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b)\n"
EVERYTHING = GPU + "".join(f"  MIG {p}     Device  {i}: (UUID: {u})\n" for i, (p, u) in enumerate(UUIDS.items()))


def log(profile: str | None, uuid: str | None = None, compute: str = "passed") -> str:
    device = f"  MIG {profile}     Device  0: (UUID: {uuid or UUIDS[profile]})\n" if profile else ""
    return f"{GPU}{device}[Vector addition of 50000 elements]\nTest PASSED\nmig-verify: compute {compute}\n"


def pod_name(profile: str) -> str:
    name = f"mig-mixed-{profile.replace('.', '-')}"
    return name if name.endswith("-more") else f"{name}-0"


def expectations(**changes: object) -> str:
    devices = [{"pod": pod_name(p), "resource": f"nvidia.com/mig-{p}", "profile": p} for p in UUIDS]
    wanted = {
        "name": NAME,
        "allocatable": {name: int(count) for name, count in ALLOCATABLE.items()},
        "absent": ["nvidia.com/gpu", "nvidia.com/mig-7g.80gb"],
        "labels": LABELS,
        "devices": devices,
    }
    image = "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04"
    whole = {"version": 1, "strategy": "mixed", "image": image, "timeoutSeconds": 60, "namespace": "mig-k8s-verify"}
    return json.dumps({**whole, "nodes": [wanted], **changes})


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """The tutorial's mixed node, with everything as it should be."""
    machine = Machine(tmp_path)
    machine.program("nvidia-smi", f"printf '%s' '{EVERYTHING}'")
    made = Cluster(machine)
    shows(made)
    made.change(reactions={pod_name(profile): {"log": log(profile)} for profile in UUIDS})
    for profile in UUIDS:
        react(made, f"{profile}-0-more", status=waiting(f"nvidia.com/mig-{profile}"))
    return made


def waiting(resource: str) -> dict[str, Any]:
    """The status of a pod for which there is no device."""
    message = f"0/1 nodes are available: 1 Insufficient {resource}. preemption: 0/1 nodes are available."
    return {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


def shows(cluster: Cluster, **changes: object) -> None:
    """What the API server says of the node."""
    facts: dict[str, Any] = {"boot_id": FIRST_BOOT, "allocatable": ALLOCATABLE, "labels": LABELS, **changes}
    facts["labels"] = {**facts["labels"], "nvidia.com/gpu.deploy.device-plugin": "true"}
    cluster.change(nodes=[node(NAME, **facts)])


def verify(
    cluster: Cluster, seconds: float = 60, *, own_process: bool = False, **changes: object
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report, and what it told people."""
    run = cluster.machine.run if own_process else cluster.machine.call
    ended = run("mig-verify", stdin=expectations(timeoutSeconds=seconds, **changes))
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else {}, ended.stderr


def react(cluster: Cluster, profile: str, **reaction: object) -> None:
    reactions = cluster.objects()["reactions"]
    cluster.change(reactions={**reactions, pod_name(profile): reaction})


def failed(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in report["checks"] if not check["passed"]]


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


def test_all_pods_are_made_at_once_before_any_log_is_read(cluster: Cluster) -> None:
    verify(cluster)
    verbs = [call.split()[1] for call in cluster.machine.calls("kubectl") if call.split()[1] in ("create", "logs")]
    assert verbs == ["create", "create", "logs", "logs", "logs", "create"]


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


def test_labels_and_allocatable_that_come_late_are_waited_for(cluster: Cluster) -> None:
    shows(cluster, allocatable={}, labels={})
    process = started(cluster)
    assert process.stderr is not None
    for line in process.stderr:
        if "allocatable is no GPU resource" in line:
            break
    shows(cluster)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["passed"] is True


def started(cluster: Cluster) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [str(cluster.machine.root / "usr/local/sbin/mig-verify")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cluster.machine.environment,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(expectations())
    process.stdin.close()
    process.stdin = None
    return process


# ---- nodes


def test_a_ready_of_an_earlier_boot_does_not_count(cluster: Cluster) -> None:
    shows(cluster, boot_id=SECOND_BOOT)
    code, report, _ = verify(cluster, seconds=0)
    assert code == 1
    assert failed(report)[0]["seen"] == f"the state of an earlier boot ({SECOND_BOOT})"


def test_a_node_that_is_not_ready_is_told_with_the_kubelets_reason(cluster: Cluster) -> None:
    shows(cluster, ready="False")
    code, report, said = verify(cluster, seconds=0)
    assert code == 1
    assert failed(report)[0]["seen"] == "not ready: kubelet is posting ready status"
    assert "FAILED ready on mlops-k8s-master" in said


def test_a_node_that_is_missing_is_told(cluster: Cluster) -> None:
    cluster.change(nodes=[])
    _, report, _ = verify(cluster, seconds=0)
    assert [(check["name"], check["seen"]) for check in failed(report)] == [("node", "none")]


def test_an_absent_resource_that_lingers_at_zero_is_fine_and_one_that_does_not_is_told(cluster: Cluster) -> None:
    shows(cluster, allocatable={**ALLOCATABLE, "nvidia.com/gpu": "0"})
    assert verify(cluster)[0] == 0
    shows(cluster, allocatable={**ALLOCATABLE, "nvidia.com/gpu": "1"})
    code, report, _ = verify(cluster, seconds=0)
    assert code == 1
    assert (
        failed(report)[0]["expected"]
        == "nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1, nvidia.com/mig-3g.40gb: 1"
    )
    assert failed(report)[0]["seen"].startswith("nvidia.com/gpu: 1, nvidia.com/mig-1g.10gb: 1")


def test_a_wrong_label_and_a_missing_one_are_named(cluster: Cluster) -> None:
    shows(cluster, labels={"nvidia.com/mig.strategy": "single"})
    _, report, _ = verify(cluster, seconds=0)
    (check,) = failed(report)
    assert check["expected"] == "nvidia.com/mig.strategy=mixed, nvidia.com/mig.capable=true"
    assert check["seen"] == "nvidia.com/mig.strategy=single, no nvidia.com/mig.capable"


# ---- why allocatable is not what it should be


def remedy(cluster: Cluster) -> str:
    _, report, _ = verify(cluster, seconds=0)
    (check,) = [check for check in failed(report) if check["name"] == "allocatable"]
    return str(check["remedy"])


def test_instances_that_mig_manager_wiped_are_recognised(cluster: Cluster) -> None:
    cluster.machine.program("nvidia-smi", f"printf '%s' '{GPU}'")
    wiped = {"nvidia.com/mig.config": "all-disabled", "nvidia.com/mig.config.state": "success"}
    shows(cluster, allocatable={"nvidia.com/gpu": "1"}, labels={**LABELS, **wiped})
    assert remedy(cluster) == (
        "MIG Manager wiped the instances (nvidia.com/mig.config=all-disabled, success): enabled, it does so on a node "
        "without that label. Disable it (`pulumi up --refresh` with migManager.enabled=false), then `kubectl label "
        "node mlops-k8s-master nvidia.com/mig.config-`, then reboot the node: it makes mode and instances again."
    )


def test_a_leftover_label_is_not_taken_for_a_wipe_where_the_instances_are_there(cluster: Cluster) -> None:
    shows(cluster, allocatable={}, labels={**LABELS, "nvidia.com/mig.config": "all-disabled"})
    assert remedy(cluster).startswith("The device plugin runs but looked at the GPU before the change")


@pytest.mark.parametrize("said", ["Enabled, Disabled", "Disabled, Disabled"])
def test_a_mig_mode_that_is_off_or_will_be_is_recognised(cluster: Cluster, said: str) -> None:
    cluster.machine.program("nvidia-smi", f"[ $1 = -L ] && printf '%s' '{GPU}' || echo '{said}'")
    shows(cluster, allocatable={"nvidia.com/gpu": "1"})
    assert remedy(cluster) == (
        "The GPU itself has no MIG device and its MIG mode is off, or will be: "
        "reboot the node, which sets the mode first thing."
    )


def test_instances_that_are_gone_without_mig_manager_are_recognised(cluster: Cluster) -> None:
    cluster.machine.program("nvidia-smi", f"[ $1 = -L ] && printf '%s' '{GPU}' || echo 'Enabled, Enabled'")
    shows(cluster, allocatable={})
    assert remedy(cluster).startswith(
        "The GPU itself has no MIG device: something removed them, or they were never made. "
        "`sudo systemctl restart mig-k8s-instances` there makes them again"
    )


def test_a_success_of_mig_manager_with_other_instances_is_recognised(cluster: Cluster) -> None:
    cluster.machine.program("nvidia-smi", f"[ $1 = -L ] && printf '%s' '{GPU}' || echo 'Enabled, Enabled'")
    shows(cluster, allocatable={}, labels={**LABELS, "nvidia.com/mig.config": "mine", **state("success")})
    assert remedy(cluster) == (
        "The GPU itself has no MIG device, although MIG Manager says success for nvidia.com/mig.config=mine: "
        "`kubectl delete pod -n gpu-operator -l app=nvidia-mig-manager` makes it look again."
    )


def test_a_success_with_nothing_allocatable_is_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={"nvidia.com/mig-3g.40gb": "0"}, labels={**LABELS, **state("success")})
    assert remedy(cluster) == (
        "MIG Manager's success is no proof. The device plugin runs but looked at the GPU before the change: "
        "restart it (`kubectl delete pod -n gpu-operator -l app=nvidia-device-plugin-daemonset`)."
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [("pending", "is stuck (pending) at"), ("rebooting", "is stuck (rebooting) at"), ("failed", "failed at")],
)
def test_a_mig_manager_that_does_not_end_well_is_recognised(cluster: Cluster, word: str, says: str) -> None:
    paused = {"nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change", "nvidia.com/mig.config": "mine"}
    shows(cluster, allocatable={}, labels={**LABELS, **paused, **state(word)})
    assert remedy(cluster) == (
        f"MIG Manager {says} nvidia.com/mig.config=mine: `kubectl logs -n gpu-operator -l app=nvidia-mig-manager` "
        "tells why; deleted (`kubectl delete pod`), it begins anew and starts paused clients again."
    )


def state(word: str) -> dict[str, str]:
    return {"nvidia.com/mig.config.state": word}


def test_a_driver_that_was_upgraded_under_its_module_is_recognised(cluster: Cluster) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173"
    cluster.machine.program("nvidia-smi", f"echo '{words}'; exit 18")
    shows(cluster, allocatable={})
    assert remedy(cluster) == (
        "The driver's packages were upgraded under the loaded module (Driver/library version mismatch): reboot it."
    )


def test_a_plugin_that_does_not_exist_is_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={})
    cluster.change(daemons={})
    assert remedy(cluster).startswith("No device plugin pod is on the node")


def test_a_plugin_that_crashes_is_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={})
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}
    plugin = {
        "metadata": {
            "name": "nvidia-device-plugin-daemonset-mlops-k8s-master",
            "namespace": "gpu-operator",
            "labels": {"app": "nvidia-device-plugin-daemonset"},
        },
        "spec": {"nodeName": NAME},
        "status": {"phase": "Running", "containerStatuses": [{"state": {"waiting": waiting}}]},
    }
    cluster.change(pods=[plugin])
    assert "CrashLoopBackOff: back-off 5m0s" in remedy(cluster)


def test_clients_left_paused_are_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={}, labels={**LABELS, "nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change"})
    assert remedy(cluster).startswith("GPU clients are paused (nvidia.com/gpu.deploy.dcgm)")


def test_a_plugin_that_looked_too_early_is_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={})
    assert remedy(cluster).startswith("The device plugin runs but looked at the GPU before the change")


# ---- pods


def test_an_image_that_cannot_be_pulled_is_told_with_the_registrys_words(cluster: Cluster) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "dial tcp: lookup nvcr.io: no such host"}
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    react(cluster, "2g.20gb", status=status)
    code, report, _ = verify(cluster, seconds=2)
    assert code == 1
    (pod, distinct) = failed(report)
    assert pod["seen"] == "mig-mixed-2g-20gb-0: ImagePullBackOff: dial tcp: lookup nvcr.io: no such host"
    assert pod["remedy"].startswith("Can the node pull nvcr.io/nvidia/k8s/cuda-sample")
    assert distinct["seen"] == "2 different devices"
    assert cluster.objects()["namespaces"] == []


def test_a_device_somebody_else_holds_is_told(cluster: Cluster) -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/mig-2g",
    }
    react(cluster, "2g.20gb", status={"phase": "Pending", "conditions": [condition]})
    _, report, _ = verify(cluster, seconds=2)
    assert failed(report)[0]["remedy"].startswith("Another pod holds the device")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (log("1g.10gb"), "MIG device 1g.10gb"),
        (EVERYTHING + "mig-verify: compute passed\n", "MIG device 3g.40gb, MIG device 2g.20gb, MIG device 1g.10gb"),
        (log(None), "GPU 0"),
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
        "one MIG device 2g.20gb",
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


# ---- ends


def test_ended_by_a_signal_it_deletes_what_it_made(cluster: Cluster, wait_until: Callable[..., None]) -> None:
    react(cluster, "2g.20gb", status={"phase": "Pending"})
    process = started(cluster)
    wait_until(lambda: cluster.machine.calls("kubectl logs"), "the first log to be read")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ended by SIGTERM before it was done; what it made is deleted" in said
    assert cluster.objects()["namespaces"] == []


def test_a_namespace_that_cannot_be_deleted_is_a_failed_check(cluster: Cluster) -> None:
    kubectl = cluster.machine.root / "var/lib/rancher/rke2/bin/kubectl"
    text = kubectl.read_text(encoding="utf-8").replace(
        '    if objects.get("namespace_stays"):', "    if objects['namespaces']:"
    )
    kubectl.write_text(text, encoding="utf-8")
    code, report, _ = verify(cluster)
    assert code == 1
    assert failed(report)[0]["name"] == "clean up"


@pytest.mark.parametrize(
    ("text", "said"), [("", "are not understood"), ('{"version": 3}', "have version 3, this mig-verify understands 1")]
)
def test_expectations_that_are_none_are_told_without_a_traceback(cluster: Cluster, text: str, said: str) -> None:
    ended = cluster.machine.call("mig-verify", stdin=text)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_api_that_never_answers_ends_with_its_words(cluster: Cluster) -> None:
    (cluster.machine.state / "api-is-down").touch()
    code, _, said = verify(cluster, seconds=0)
    assert code == 1
    assert "The connection to the server 127.0.0.1:6443 was refused" in said
