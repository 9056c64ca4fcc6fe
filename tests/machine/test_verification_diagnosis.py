"""What a verification says of a node that does not show what is expected: each trouble with the way out."""

import pytest
from a_machine import NAME, SECOND_BOOT, AMachine
from kubernetes_objects import pod_for
from verified_cluster import (
    ALLOCATABLE,
    GPU,
    LABELS,
    POD_2G,
    as_it_should_be,
    becomes,
    failed,
    left,
    says,
    shows,
    verified,
    waits,
)


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


def test_a_ready_of_an_earlier_boot_does_not_count(machine: AMachine) -> None:
    shows(machine, boot_id=SECOND_BOOT)
    code, report, _ = verified(machine, seconds=0)
    assert code == 1
    assert failed(report)[0].seen == f"the state of an earlier boot ({SECOND_BOOT})"


def test_a_node_that_is_not_ready_is_told_with_the_kubelets_reason(machine: AMachine) -> None:
    shows(machine, ready="False")
    nodes = machine.api.listed("nodes")
    nodes[0]["status"]["conditions"][0]["message"] = "container runtime network not ready: cni plugin not initialized"
    machine.api.change(nodes=nodes)
    code, report, said = verified(machine, seconds=0)
    assert code == 1
    check = failed(report)[0]
    assert check.seen == "not ready: container runtime network not ready: cni plugin not initialized"
    assert check.remedy == (
        "`journalctl -u rke2-server -u rke2-agent` on it; DiskPressure and a missing CNI show in the message."
    )
    assert "FAILED ready on mlops-k8s-master" in said


def test_a_node_that_is_missing_is_told(machine: AMachine) -> None:
    machine.api.change(nodes=[])
    _, report, _ = verified(machine, seconds=0)
    (check,) = failed(report)
    assert (check.name, check.expected, check.seen) == ("node", "a node of this name", "none")
    assert check.remedy == (
        "On it: `sudo mig-k8s status` and `journalctl -u rke2-server -u rke2-agent`. Is mlops-k8s-master its name?"
    )


def test_an_absent_resource_that_lingers_at_zero_is_fine_and_one_that_does_not_is_told(machine: AMachine) -> None:
    shows(machine, allocatable={**ALLOCATABLE, "nvidia.com/gpu": "0"})
    assert verified(machine)[0] == 0
    shows(machine, allocatable={**ALLOCATABLE, "nvidia.com/gpu": "1"})
    code, report, _ = verified(machine, seconds=0)
    assert code == 1
    check = failed(report)[0]
    assert check.expected == "nvidia.com/mig-1g.10gb: 1, nvidia.com/mig-2g.20gb: 1, nvidia.com/mig-3g.40gb: 1"
    assert check.seen.startswith("nvidia.com/gpu: 1, nvidia.com/mig-1g.10gb: 1")


@pytest.mark.parametrize("resource", ["nvidia.com/mig-4g.40gb", "nvidia.com/mig-3g.40gb.shared"])
def test_a_resource_of_nvidias_that_nobody_expects_is_told(machine: AMachine, resource: str) -> None:
    """The second is a device advertised twice, once for sharing."""
    others = {"hugepages-1Gi": "0", "cpu": "24", "memory": "1Gi"}
    shows(machine, allocatable={**ALLOCATABLE, **others})
    assert verified(machine)[0] == 0
    shows(machine, allocatable={**ALLOCATABLE, **others, resource: "1"})
    _, report, _ = verified(machine, seconds=0)
    (check,) = failed(report)
    assert (check.name, check.seen[-len(f"{resource}: 1") :]) == ("allocatable", f"{resource}: 1")


def test_a_wrong_label_and_a_missing_one_are_named(machine: AMachine) -> None:
    shows(machine, labels={"nvidia.com/mig.strategy": "single"})
    _, report, _ = verified(machine, seconds=0)
    (check,) = failed(report)
    assert check.expected == "nvidia.com/mig.strategy=mixed, nvidia.com/mig.capable=true"
    assert check.seen == "nvidia.com/mig.strategy=single, no nvidia.com/mig.capable"


LOOKED_TOO_EARLY = (
    "The device plugin runs but looked at the GPU before the change: restart it "
    "(`kubectl delete pod -n gpu-operator -l app=nvidia-device-plugin-daemonset`)."
)


def remedy(machine: AMachine, **changes: object) -> str:
    _, report, _ = verified(machine, seconds=0, **changes)
    (check,) = [check for check in failed(report) if check.name == "allocatable"]
    return check.remedy


def smi(machine: AMachine, current: str, pending: str) -> None:
    """An nvidia-smi that lists the GPU without a MIG device, and this mode."""
    row = f"0, GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b, {current}, {pending}"
    machine.program("nvidia-smi", f"[ $1 = -L ] && printf '%s' '{GPU}' || echo '{row}'")


def state(word: str) -> dict[str, str]:
    return {"nvidia.com/mig.config.state": word}


def test_instances_that_mig_manager_removed_are_recognised(machine: AMachine) -> None:
    machine.program("nvidia-smi", f"printf '%s' '{GPU}'")
    removed = {"nvidia.com/mig.config": "all-disabled", "nvidia.com/mig.config.state": "success"}
    shows(machine, allocatable={"nvidia.com/gpu": "1"}, labels={**LABELS, **removed})
    assert remedy(machine) == (
        "MIG Manager removed the instances (nvidia.com/mig.config=all-disabled, success): enabled, it does so on a "
        "node without that label. Disable it (`pulumi up --refresh` with migManager.enabled=false), then `kubectl "
        "label node mlops-k8s-master nvidia.com/mig.config-`, then reboot the node: it makes mode and instances again."
    )


def test_a_leftover_label_is_not_taken_for_a_removal_where_the_instances_are_there(machine: AMachine) -> None:
    shows(machine, allocatable={}, labels={**LABELS, "nvidia.com/mig.config": "all-disabled"})
    assert remedy(machine) == LOOKED_TOO_EARLY


def test_a_removal_on_another_machine_is_recognised_by_its_labels(machine: AMachine) -> None:
    machine.desire(node={"name": "server"})
    shows(machine, allocatable={"nvidia.com/gpu": "1"}, labels={**LABELS, "nvidia.com/mig.config": "all-disabled"})
    assert remedy(machine).startswith("MIG Manager removed the instances (nvidia.com/mig.config=all-disabled, None)")


def test_a_leftover_label_is_not_taken_for_a_removal_where_no_instance_is_expected(machine: AMachine) -> None:
    machine.desire(node={"name": "server"})
    shows(machine, allocatable={}, labels={**LABELS, "nvidia.com/mig.config": "all-disabled"})
    device = {"pod": "mig-none-gpu-0", "resource": "nvidia.com/gpu", "profile": None, "compute": True}
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 1}, "labels": {}, "devices": [device]}
    assert remedy(machine, nodes=[wanted]).startswith(LOOKED_TOO_EARLY)


@pytest.mark.parametrize(("current", "pending"), [("Enabled", "Disabled"), ("Disabled", "Disabled")])
def test_a_mig_mode_that_is_off_or_will_be_is_recognised(machine: AMachine, current: str, pending: str) -> None:
    smi(machine, current, pending)
    shows(machine, allocatable={"nvidia.com/gpu": "1"})
    assert remedy(machine) == (
        "The GPU itself has no MIG device and its MIG mode is off, or will be: "
        "reboot the node, which sets the mode first thing."
    )


def test_instances_that_are_gone_without_mig_manager_are_recognised(machine: AMachine) -> None:
    smi(machine, "Enabled", "Enabled")
    shows(machine, allocatable={})
    assert remedy(machine) == (
        "The GPU itself has no MIG device: something removed them, or they were never made. "
        "`sudo systemctl restart mig-k8s-instances` there makes them again; its journal tells more."
    )


def test_other_instances_than_expected_are_named(machine: AMachine) -> None:
    line = "  MIG 7g.80gb     Device  0: (UUID: MIG-7)\n"
    machine.program(
        "nvidia-smi", f"[ $1 = -L ] && printf '%s' '{GPU}{line}' || echo '0, GPU-9f0cc172, Enabled, Enabled'"
    )
    shows(machine, allocatable={})
    assert remedy(machine).startswith("The GPU itself has 7g.80gb: 1: something removed them")


def test_a_success_of_mig_manager_with_other_instances_is_recognised(machine: AMachine) -> None:
    smi(machine, "Enabled", "Enabled")
    shows(machine, allocatable={}, labels={**LABELS, "nvidia.com/mig.config": "mine", **state("success")})
    assert remedy(machine) == (
        "The GPU itself has no MIG device, although MIG Manager says success for nvidia.com/mig.config=mine: "
        "`kubectl delete pod -n gpu-operator -l app=nvidia-mig-manager` makes it look again."
    )


def test_a_success_with_nothing_allocatable_is_recognised(machine: AMachine) -> None:
    shows(machine, allocatable={"nvidia.com/mig-3g.40gb": "0"}, labels={**LABELS, **state("success")})
    assert remedy(machine) == (
        "MIG Manager's success does not prove it. The device plugin runs but looked at the GPU before the change: "
        "restart it (`kubectl delete pod -n gpu-operator -l app=nvidia-device-plugin-daemonset`)."
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [("pending", "is stuck (pending) at"), ("rebooting", "is stuck (rebooting) at"), ("failed", "failed at")],
)
def test_a_mig_manager_that_does_not_end_well_is_recognised(machine: AMachine, word: str, says: str) -> None:
    paused = {"nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change", "nvidia.com/mig.config": "mine"}
    shows(machine, allocatable={}, labels={**LABELS, **paused, **state(word)})
    assert remedy(machine) == (
        f"MIG Manager {says} nvidia.com/mig.config=mine: `kubectl logs -n gpu-operator -l app=nvidia-mig-manager` "
        "tells why; deleted (`kubectl delete pod`), it begins anew and starts paused clients again."
    )


def test_a_driver_that_was_upgraded_under_its_module_is_recognised(machine: AMachine) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.173"
    machine.program("nvidia-smi", f"echo '{words}'; exit 18")
    shows(machine, allocatable={})
    assert remedy(machine) == (
        "The driver's packages were upgraded under the loaded module (Driver/library version mismatch): reboot it."
    )


def test_a_machine_without_its_driver_is_recognised(machine: AMachine) -> None:
    (machine.programs / "nvidia-smi").unlink()
    machine.environment["PATH"] = str(machine.programs)
    shows(machine, allocatable={})
    assert remedy(machine) == ("there is no nvidia-smi: the driver stage installs it, see `sudo mig-k8s status`.")


def test_a_machine_that_shall_have_no_gpu_is_not_blamed_for_having_no_driver(machine: AMachine) -> None:
    (machine.programs / "nvidia-smi").unlink()
    machine.environment["PATH"] = str(machine.programs)
    shows(machine, allocatable={"nvidia.com/gpu": "1"})
    assert remedy(machine, nodes=[{"name": NAME, "allocatable": {}, "labels": {}, "devices": []}]) == LOOKED_TOO_EARLY


def test_a_plugin_that_does_not_exist_is_recognised(machine: AMachine) -> None:
    shows(machine, allocatable={})
    labels = {"app": "nvidia-device-plugin-daemonset"}
    elsewhere = {"metadata": {"name": "plugin", "namespace": "gpu-operator", "labels": labels}}
    machine.api.change(daemons={}, pods=[{**elsewhere, "spec": {"nodeName": "agent"}, "status": {"phase": "Running"}}])
    assert remedy(machine) == (
        "No device plugin pod is on the node: `kubectl get clusterpolicy,pods -n gpu-operator` tells how far the "
        "operator is; it needs the label feature.node.kubernetes.io/pci-10de.present or nvidia.com/gpu.present."
    )


@pytest.mark.parametrize("containers", ["containerStatuses", "initContainerStatuses"])
def test_a_plugin_that_crashes_is_recognised(machine: AMachine, containers: str) -> None:
    shows(machine, allocatable={})
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}
    plugin = {
        "metadata": {
            "name": "nvidia-device-plugin-daemonset-mlops-k8s-master",
            "namespace": "gpu-operator",
            "labels": {"app": "nvidia-device-plugin-daemonset"},
        },
        "spec": {"nodeName": NAME},
        "status": {"phase": "Running", containers: [{"state": {"waiting": waiting}}]},
    }
    machine.api.change(pods=[plugin])
    assert remedy(machine) == (
        "The device plugin does not run (nvidia-device-plugin-daemonset-mlops-k8s-master: CrashLoopBackOff: "
        "back-off 5m0s): its log has the reason."
    )


def test_clients_left_paused_are_recognised(machine: AMachine) -> None:
    shows(machine, allocatable={}, labels={**LABELS, "nvidia.com/gpu.deploy.dcgm": "paused-for-mig-change"})
    assert remedy(machine) == (
        "GPU clients are paused (nvidia.com/gpu.deploy.dcgm): `sudo mig-k8s start-clients` there, or `kubectl label "
        "--overwrite node mlops-k8s-master LABEL=true`, starts them again."
    )


def test_a_plugin_that_looked_too_early_is_recognised(machine: AMachine) -> None:
    shows(machine, allocatable={})
    assert remedy(machine) == LOOKED_TOO_EARLY


def test_of_another_machine_nothing_is_said_that_only_its_own_nvidia_smi_knows(machine: AMachine) -> None:
    """This machine's GPU has lost its driver; that says nothing of the agent."""
    machine.program("nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    machine.desire(node={"name": "server"})
    shows(machine, allocatable={}, boot_id=SECOND_BOOT)
    assert remedy(machine) == f"{LOOKED_TOO_EARLY} If `nvidia-smi -L` there lacks instances: `pulumi up`, or reboot it."


def test_the_devices_of_another_machine_are_checked_by_its_pods(machine: AMachine) -> None:
    machine.program("nvidia-smi", "echo 'no GPU here'; exit 9")
    machine.desire(node={"name": "server"})
    shows(machine, boot_id=SECOND_BOOT)
    code, report, said = verified(machine)
    assert code == 0, said
    assert "devices are the machine's" not in {check.name for check in report.checks}
    assert machine.calls("nvidia-smi") == []


@pytest.mark.parametrize(
    "trouble", ["wrong label", "removed elsewhere", "mig manager failed", "other instances", "no plugin", "too early"]
)
def test_remedies_name_the_namespace_of_the_operator_that_the_stack_chose(machine: AMachine, trouble: str) -> None:
    failing = {"nvidia.com/mig.config": "mine", **state("failed")}
    if trouble == "wrong label":
        shows(machine, labels={})
    elif trouble == "mig manager failed":
        shows(machine, allocatable={}, labels={**LABELS, **failing})
    elif trouble == "other instances":
        smi(machine, "Enabled", "Enabled")
        shows(machine, allocatable={}, labels={**LABELS, **failing, **state("success")})
    else:
        shows(machine, allocatable={})
        machine.api.change(**({"daemons": {}} if trouble == "no plugin" else {}))
    _, report, _ = verified(machine, seconds=0, operatorNamespace="gpu-things")
    (check,) = failed(report)
    assert "-n gpu-things" in check.remedy
    assert "gpu-operator" not in check.remedy


def test_an_image_that_cannot_be_pulled_is_told_with_the_registrys_words(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ImagePullBackOff", "dial tcp: lookup nvcr.io: no such host"))
    code, report, _ = verified(machine, seconds=0)
    assert code == 1
    pod = next(check for check in failed(report) if check.name == POD_2G)
    assert pod.seen == "mig-mixed-2g-20gb-0: ImagePullBackOff: dial tcp: lookup nvcr.io: no such host"
    assert pod.remedy == (
        "Can the node pull nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04? Set verify.image or RKE2's "
        "registries.yaml; can it reach the registry?"
    )
    assert left(machine) == []


def test_devices_that_are_fewer_only_for_want_of_a_pod_are_not_blamed_on_sharing(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ImagePullBackOff", "no such host"))
    _, report, _ = verified(machine, seconds=5)
    assert [check.name for check in failed(report)] == [POD_2G]


def test_a_device_that_is_taken_by_no_pod_of_the_kubelets_record_is_told(machine: AMachine) -> None:
    """The scheduler counts a pod that the kubelet has given nothing."""
    machine.api.submit({**pod_for("nvidia.com/mig-2g.20gb", "train", nodeName=NAME), "status": {"phase": "Running"}})
    _, report, _ = verified(machine, seconds=5)
    (check,) = failed(report)
    assert check.seen.startswith(f"{POD_2G}: 0/1 nodes are available: 1 Insufficient nvidia.com/mig-2g.20gb")
    assert check.remedy == (
        "The kubelet's record has no pod with the device: delete a pod that requests one (`kubectl describe node`)."
    )


def test_a_runtime_class_without_its_runtime_is_told(machine: AMachine) -> None:
    words = 'failed to get sandbox runtime: no runtime for "nvidia" is configured'
    becomes(machine, POD_2G, waits("CreateContainerError", words))
    _, report, _ = verified(machine, seconds=5)
    assert failed(report)[0].remedy == (
        "Runtime class nvidia starts no container: was the toolkit there when RKE2 started (`mig-k8s status`)?"
    )


def test_a_device_that_no_specification_has_is_told(machine: AMachine) -> None:
    words = "CDI device injection failed: unresolvable CDI devices k8s.device-plugin.nvidia.com/gpu=GPU-1"
    becomes(machine, POD_2G, waits("CreateContainerError", words))
    _, report, _ = verified(machine, seconds=5)
    assert failed(report)[0].remedy == (
        "No CDI specification on the node has the device: delete the device plugin's pod, which writes it anew."
        " A GPU in MIG mode is in none (strategy none)."
    )


def test_a_pod_that_ended_is_told_with_its_exit_codes(machine: AMachine) -> None:
    says(machine, POD_2G, "")
    ended = {"state": {"terminated": {"exitCode": 139}}}
    becomes(machine, POD_2G, {"phase": "Failed", "message": "out of luck", "containerStatuses": [ended]})
    _, report, _ = verified(machine, seconds=5)
    assert failed(report)[0].seen == f"{POD_2G}: ended [139] out of luck"
