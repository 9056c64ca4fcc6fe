"""What mig-verify says of a node that does not show what the plan expects: each wedge with the way out."""

from pathlib import Path

import pytest
from kubernetes_on_machine import Cluster
from mig_verify_on_machine import (
    ALLOCATABLE,
    GPU,
    LABELS,
    NAME,
    failed,
    react,
    shows,
    tutorial_cluster,
    verify,
    waiting,
)
from scripted_machine import SECOND_BOOT


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return tutorial_cluster(tmp_path)


def test_a_ready_of_an_earlier_boot_does_not_count(cluster: Cluster) -> None:
    shows(cluster, boot_id=SECOND_BOOT)
    code, report, _ = verify(cluster, seconds=0)
    assert code == 1
    assert failed(report)[0]["seen"] == f"the state of an earlier boot ({SECOND_BOOT})"


def test_a_node_that_is_not_ready_is_told_with_the_kubelets_reason(cluster: Cluster) -> None:
    shows(cluster, ready="False")
    nodes = cluster.objects()["nodes"]
    nodes[0]["status"]["conditions"][0]["message"] = "container runtime network not ready: cni plugin not initialized"
    cluster.change(nodes=nodes)
    code, report, said = verify(cluster, seconds=0)
    assert code == 1
    check = failed(report)[0]
    assert check["seen"] == "not ready: container runtime network not ready: cni plugin not initialized"
    assert check["remedy"] == (
        "`journalctl -u rke2-server -u rke2-agent` on it; DiskPressure and a missing CNI show in the message."
    )
    assert "FAILED ready on mlops-k8s-master" in said


def test_a_node_that_is_missing_is_told(cluster: Cluster) -> None:
    cluster.change(nodes=[])
    _, report, _ = verify(cluster, seconds=0)
    (check,) = failed(report)
    assert (check["name"], check["seen"]) == ("node", "none")
    assert check["remedy"] == (
        "On it: `sudo mig-k8s status` and `journalctl -u rke2-server -u rke2-agent`. Is mlops-k8s-master its name?"
    )


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


LOOKED_TOO_EARLY = (
    "The device plugin runs but looked at the GPU before the change: restart it "
    "(`kubectl delete pod -n gpu-operator -l app=nvidia-device-plugin-daemonset`)."
)


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
    assert remedy(cluster) == LOOKED_TOO_EARLY


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
    assert remedy(cluster) == (
        "The GPU itself has no MIG device: something removed them, or they were never made. "
        "`sudo systemctl restart mig-k8s-instances` there makes them again; its journal tells more."
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
    labels = {"app": "nvidia-device-plugin-daemonset"}
    elsewhere = {"metadata": {"name": "plugin", "namespace": "gpu-operator", "labels": labels}}
    cluster.change(daemons={}, pods=[{**elsewhere, "spec": {"nodeName": "agent"}, "status": {"phase": "Running"}}])
    assert remedy(cluster) == (
        "No device plugin pod is on the node: `kubectl get clusterpolicy,pods -n gpu-operator` tells how far the "
        "operator is; it needs the label feature.node.kubernetes.io/pci-10de.present or nvidia.com/gpu.present."
    )


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
    assert remedy(cluster) == (
        "The device plugin does not run (nvidia-device-plugin-daemonset-mlops-k8s-master: CrashLoopBackOff: "
        "back-off 5m0s): its log has the reason."
    )


def test_clients_left_paused_are_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={}, labels={**LABELS, "nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change"})
    assert remedy(cluster) == (
        "GPU clients are paused (nvidia.com/gpu.deploy.dcgm): `sudo mig-apply --layout /etc/mig-k8s/layout.json` or "
        "`kubectl label --overwrite node … LABEL=true` starts them again."
    )


def test_a_plugin_that_looked_too_early_is_recognised(cluster: Cluster) -> None:
    shows(cluster, allocatable={})
    assert remedy(cluster) == LOOKED_TOO_EARLY


def test_of_another_machine_nothing_is_said_that_only_its_own_nvidia_smi_knows(cluster: Cluster) -> None:
    """This machine's GPU has lost its driver; that says nothing of the agent."""
    cluster.machine.program("nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    cluster.machine.desired(node={"name": "server", "role": "server"})
    shows(cluster, allocatable={}, boot_id=SECOND_BOOT)
    assert remedy(cluster) == f"{LOOKED_TOO_EARLY} If `nvidia-smi -L` there lacks instances: `pulumi up`, or reboot it."


def test_the_devices_of_another_machine_are_judged_by_its_pods(cluster: Cluster) -> None:
    cluster.machine.program("nvidia-smi", "echo 'no GPU here'; exit 9")
    cluster.machine.desired(node={"name": "server", "role": "server"})
    shows(cluster, boot_id=SECOND_BOOT)
    code, report, said = verify(cluster)
    assert code == 0, said
    assert "devices are the machine's" not in {check["name"] for check in report["checks"]}
    assert cluster.machine.calls("nvidia-smi") == []


def test_an_image_that_cannot_be_pulled_is_told_with_the_registrys_words(cluster: Cluster) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "dial tcp: lookup nvcr.io: no such host"}
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    react(cluster, "2g.20gb", status=status)
    code, report, _ = verify(cluster, seconds=0)
    assert code == 1
    (pod, distinct) = failed(report)
    assert pod["seen"] == "mig-mixed-2g-20gb-0: ImagePullBackOff: dial tcp: lookup nvcr.io: no such host"
    assert pod["remedy"] == (
        "Can the node pull nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04? Set verify.image or RKE2's "
        "registries.yaml, and look at the way out."
    )
    assert distinct["seen"] == "2 different devices"
    assert cluster.objects()["namespaces"] == []


def test_a_device_somebody_else_holds_is_told(cluster: Cluster) -> None:
    react(cluster, "2g.20gb", status=waiting("nvidia.com/mig-2g.20gb"))
    _, report, _ = verify(cluster, seconds=0)
    assert failed(report)[0]["remedy"] == (
        "Another pod holds the device: `kubectl describe node` lists who requests what."
    )


def test_a_runtime_class_without_its_runtime_is_told(cluster: Cluster) -> None:
    words = 'failed to get sandbox runtime: no runtime for "nvidia" is configured'
    status = {"containerStatuses": [{"state": {"waiting": {"reason": "CreateContainerError", "message": words}}}]}
    react(cluster, "2g.20gb", status={"phase": "Pending", **status})
    _, report, _ = verify(cluster, seconds=0)
    assert failed(report)[0]["remedy"] == (
        "Runtime class nvidia starts no container: was the toolkit there when RKE2 started (`mig-k8s status`)?"
    )
