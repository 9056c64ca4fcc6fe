"""A verification against a cluster that shows what the test says: what it does, and what pods may see."""

import itertools
import json
import re
from typing import Any

import pytest
from a_machine import NAME, AMachine
from verified_cluster import (
    ALLOCATABLE,
    EVERYTHING,
    GPU_UUID,
    NAMESPACE,
    NO_REQUEST,
    POD_1G,
    POD_2G,
    POD_3G,
    PODS,
    UUIDS,
    as_it_should_be,
    at,
    becomes,
    called,
    failed,
    left,
    log,
    says,
    shows,
    verified,
    waits,
)

from machine.documents.verification_report import ProvenDevice
from machine.host.program import Ended


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


def test_a_cluster_as_expected_passes_and_nothing_is_left(machine: AMachine) -> None:
    code, report, said = verified(machine)
    assert code == 0, said
    assert report.passed is True
    assert report.devices == tuple(
        ProvenDevice(NAME, PODS[profile], profile, uuid, GPU_UUID, f"nvidia.com/mig-{profile}", "proven by a pod")
        for profile, uuid in UUIDS.items()
    )
    assert [(check.name, check.node) for check in report.checks] == [
        ("ready", NAME),
        ("allocatable", NAME),
        ("labels", NAME),
        ("ClusterPolicy", ""),
        (f"{POD_3G} sees its device", NAME),
        (f"{POD_3G} computes", NAME),
        (f"{POD_2G} sees its device", NAME),
        (f"{POD_2G} computes", NAME),
        (f"{POD_1G} sees its device", NAME),
        (f"{POD_1G} computes", NAME),
        ("devices are distinct", ""),
        ("devices are the machine's", NAME),
        ("isolation", NAME),
        ("one more nvidia.com/mig-3g.40gb", NAME),
        ("one more nvidia.com/mig-2g.20gb", NAME),
        ("one more nvidia.com/mig-1g.10gb", NAME),
    ]
    assert left(machine) == []


ONE_TOO_MANY = "nvidia.com/mig-1g.10gb"
WARNING = "WARNING: infoROM is corrupted at gpu 0001:00:00.0"


@pytest.mark.parametrize("where", ["on the machine", "in a pod"])
def test_a_warning_of_nvidia_smi_fails_nothing_and_reaches_the_report_once(machine: AMachine, where: str) -> None:
    if where == "in a pod":
        for pod, profile in ((POD_2G, "2g.20gb"), (POD_1G, "1g.10gb")):
            says(machine, pod, f"{WARNING}\n{log(profile)}")
    else:
        machine.program("nvidia-smi", f"printf '%s' '{EVERYTHING}'; echo '{WARNING}' >&2")
    code, report, said = verified(machine)
    assert code == 0, said
    assert report.warnings == (WARNING,)
    assert said.count(f"nvidia-smi warns: {WARNING}\n") == said.count(WARNING) == 1


def test_the_report_says_when_it_began_and_how_long_it_took(machine: AMachine) -> None:
    machine.api.before("^delete namespace", lambda _: machine.clock.sleep(1.26))
    _, report, _ = verified(machine)
    assert report.started == "2026-11-26T10:00:00Z"
    assert report.seconds == round(sum(machine.clock.slept), 1)


def test_the_progress_says_each_thing_once_in_short_lines(machine: AMachine) -> None:
    _, _, said = verified(machine)
    assert re.fullmatch(
        r"·  \d+ s: all nodes show what is expected\n"
        r"·  \d+ s: one pod per device: 3\n"
        rf"(·  \d+ s: waiting for {POD_3G}, {POD_2G}, {POD_1G}\n)?"
        r"·  \d+ s: a pod that requests nothing has to see no device\n"
        rf"(·  \d+ s: waiting for {NO_REQUEST}\n)?"
        r"(·  \d+ s: one pod more than devices has to stay Pending\n)?"
        r"mlops-k8s-master: 1 × 3g\.40gb, 1 × 2g\.20gb, 1 × 1g\.10gb: proven by a pod\n"
        r"(?P<all>\d+) of (?P=all) checks passed in \d+ s\n",
        said,
    ), said


def test_what_is_waited_for_is_said_again_every_15_seconds(machine: AMachine) -> None:
    becomes(machine, POD_2G, {"phase": "Pending", "conditions": []})
    _, _, said = verified(machine, seconds=59)
    times = [int(found) for found in re.findall(rf"·  (\d+) s: waiting for {POD_2G}\n", said)]
    assert [after - before for before, after in itertools.pairwise(times)] == [15, 15, 15], said


def test_no_progress_line_carries_what_kubernetes_says_over_several_lines(machine: AMachine) -> None:
    becomes(machine, POD_2G, waits("ErrImagePull", "failed to pull image:\n\trpc error\n" + "x" * 300))
    _, _, said = verified(machine, seconds=0)
    lines = [line for line in said.splitlines() if f"waiting for {POD_2G}: ErrImagePull" in line]
    assert lines[0].startswith("·  ")
    assert "failed to pull image: / rpc error / xxx" in lines[0]
    assert max(map(len, lines)) == 203


def test_all_pods_are_made_at_once_before_any_log_is_read(machine: AMachine) -> None:
    verified(machine)
    verbs = [call.split()[1] for call in machine.api.calls() if call.split()[1] in ("create", "logs")]
    made, *rest = "".join("L" if verb == "logs" else "c" for verb in verbs).split("cLLL")
    # Namespace and PriorityClass, whether a pod is let in (three times), the image, the pods that request nothing.
    assert made == "cccccc"
    assert rest == ["Lc"]


def test_devices_are_given_back_before_the_namespace_goes(machine: AMachine) -> None:
    """Kubernetes begins with the content of a namespace only 5 s after it was told to delete it."""
    verified(machine)
    *_, pods, namespace = machine.api.calls()
    assert pods == f"kubectl delete pods --all -n {NAMESPACE} --ignore-not-found --wait=true --timeout=120s"
    assert namespace == (
        f"kubectl delete namespace/{NAMESPACE} priorityclass/mig-k8s-verify --ignore-not-found --wait=false"
    )


def test_pods_pass_pod_security_restricted_and_take_one_device_each(machine: AMachine) -> None:
    made: list[dict[str, Any]] = []
    answer = machine.api.answer

    def recorded(command: tuple[str, ...], stdin: str) -> Ended:
        if "create" in command and "--dry-run=server" not in command:
            made.append(json.loads(stdin))
        return answer(command, stdin)

    machine.answers["kubectl"] = recorded
    verified(machine)
    around, pulls, without_request, pods, more = made
    namespace, priority = around["items"]
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert (priority["value"], priority["preemptionPolicy"]) == (-2147483648, "Never")
    assert "globalDefault" not in priority
    (pull,) = pulls["items"]
    assert pull["metadata"]["name"] == f"image-pull-{NAME}"
    assert "runtimeClassName" not in pull["spec"]  # there may be none before the operator is there
    assert pull["spec"]["containers"][0]["command"] == ["true"]
    assert pull["spec"]["containers"][0]["image"] == pods["items"][0]["spec"]["containers"][0]["image"]
    assert [pod["metadata"]["name"] for pod in pods["items"]] == [POD_3G, POD_2G, POD_1G]
    spec = pods["items"][0]["spec"]
    assert spec["priorityClassName"] == priority["metadata"]["name"] == "mig-k8s-verify"
    assert spec["runtimeClassName"] == "nvidia"
    assert spec["restartPolicy"] == "Never"
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": NAME}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["terminationGracePeriodSeconds"] == 1
    assert spec["activeDeadlineSeconds"] == 180
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"] == {"limits": {"nvidia.com/mig-3g.40gb": 1}}
    assert container["command"][:2] == ["sh", "-c"]
    assert container["command"][2].startswith("nvidia-smi -L\n")
    assert container["command"][2].endswith("\ntrap exit TERM\nsleep 180 &\nwait")
    (pod,) = without_request["items"]
    assert pod["metadata"]["name"] == NO_REQUEST
    (container,) = pod["spec"].pop("containers")
    assert pod["spec"] == {key: value for key, value in spec.items() if key != "containers"}
    assert "resources" not in container
    assert container["env"][0] == {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
    assert [pod["metadata"]["name"] for pod in more["items"]] == [f"{POD_3G}-more", f"{POD_2G}-more", f"{POD_1G}-more"]


def test_pods_live_long_enough_to_tell_however_little_time_is_left(machine: AMachine) -> None:
    lives: list[int] = []
    answer = machine.api.answer

    def recorded(command: tuple[str, ...], stdin: str) -> Ended:
        if "create" in command and "--dry-run=server" not in command:
            pods = json.loads(stdin)["items"]
            lives.extend(pod["spec"]["activeDeadlineSeconds"] for pod in pods if pod["kind"] == "Pod")
        return answer(command, stdin)

    machine.answers["kubectl"] = recorded
    verified(machine, seconds=1)
    assert set(lives) == {180}


def test_pods_of_a_killed_run_are_deleted_first(machine: AMachine) -> None:
    holding = {"containers": [{"resources": {"limits": {"nvidia.com/mig-2g.20gb": 1}}}], "nodeName": NAME}
    old = {"metadata": {"name": POD_2G, "namespace": NAMESPACE}, "spec": holding, "status": {"phase": "Running"}}
    machine.api.change(namespaces=[{"kind": "Namespace", "metadata": {"name": NAMESPACE}}], pods=[old])
    code, _, said = verified(machine)
    assert code == 0, said


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
def test_a_pod_that_sees_anything_else_than_its_device_fails(machine: AMachine, text: str, seen: str) -> None:
    says(machine, POD_2G, text)
    code, report, _ = verified(machine)
    assert code == 1
    check = failed(report)[0]
    assert (check.name, check.expected, check.seen) == (f"{POD_2G} sees its device", "MIG device 2g.20gb", seen)
    assert check.remedy == (
        "The container runtime shows a pod other devices than Kubernetes gave it: strategy, runtime class, CDI?"
    )


def test_two_pods_on_the_same_device_fail(machine: AMachine) -> None:
    says(machine, POD_2G, log("2g.20gb", UUIDS["3g.40gb"]))
    _, report, _ = verified(machine)
    (check, own) = failed(report)
    assert (check.name, check.expected) == ("devices are distinct", "3 different devices")
    assert check.seen == f"2 different devices, shared: {UUIDS['3g.40gb']}"
    assert check.remedy == "Is sharing (time slicing, MPS) on in the device plugin's configuration?"
    assert own.seen == f"no pod has {UUIDS['2g.20gb']}"
    assert report.seconds < 5


def test_a_device_the_machine_does_not_have_fails(machine: AMachine) -> None:
    says(machine, POD_2G, log("2g.20gb", "MIG-00000000-0000-5000-8000-000000000000"))
    _, report, _ = verified(machine)
    (check,) = failed(report)
    assert (check.name, check.node, check.expected) == (
        "devices are the machine's",
        NAME,
        "those of its nvidia-smi -L",
    )
    assert check.seen == (
        "MIG-00000000-0000-5000-8000-000000000000 is not of this machine, "
        "no pod has MIG-46602d72-bafb-513e-a79c-03cd078519b4"
    )
    assert check.remedy == (
        "The device plugin offers devices of before a change: `kubectl delete pod` it, and verify again."
    )


def test_a_machine_that_cannot_list_its_devices_blames_no_pod(machine: AMachine) -> None:
    (machine.programs / "nvidia-smi").unlink()
    machine.environment["PATH"] = str(machine.programs)
    _, report, _ = verified(machine)
    (check,) = failed(report)
    assert check.name == "devices are the machine's"
    assert check.seen == "there is no nvidia-smi: the driver stage installs it, see `sudo mig-k8s status`"
    assert check.remedy == "`sudo mig-k8s status` on it, and its dmesg."


def test_one_pod_more_than_devices_that_gets_one_fails(machine: AMachine) -> None:
    def appears(_words: tuple[str, ...]) -> None:
        shows(machine, allocatable={**ALLOCATABLE, ONE_TOO_MANY: "2"})
        devices = machine.api.objects()["devices"]
        devices[NAME][ONE_TOO_MANY].append("MIG-00000000-0000-5000-8000-000000000000")
        machine.api.change(devices=devices)

    at(machine, 1, "^logs .*no-request", appears)
    code, report, _ = verified(machine)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.expected, check.seen) == (
        "one more nvidia.com/mig-1g.10gb",
        "Pending",
        "it was given a device",
    )
    assert check.remedy == "More devices are offered than expected: `kubectl describe node`."
    assert left(machine) == []


def test_a_scheduler_that_does_not_decide_in_30_seconds_fails(machine: AMachine) -> None:
    becomes(machine, f"{POD_1G}-more", {"phase": "Pending", "conditions": []})
    _, report, said = verified(machine)
    (check,) = failed(report)
    assert (check.name, check.seen) == ("one more nvidia.com/mig-1g.10gb", "the scheduler has not decided")
    assert "one pod more than devices has to stay Pending" in said
    assert 30 <= report.seconds <= 33


def test_no_pod_more_is_tried_while_a_device_is_not_held(machine: AMachine) -> None:
    becomes(machine, POD_2G, {"phase": "Pending", "conditions": []})
    _, report, _ = verified(machine, seconds=3)
    assert [check.name for check in report.checks if check.name.startswith("one more")] == []
    assert "-more" not in "".join(machine.api.calls())
    assert not machine.api.calls(f"kubectl logs -n {NAMESPACE} {NO_REQUEST}")


def test_one_pod_more_is_enough_for_devices_of_a_kind(machine: AMachine) -> None:
    """Seven instances of one profile are one resource."""
    shows(machine, allocatable={"nvidia.com/gpu": "3"})
    devices = [{"pod": PODS[profile], "resource": "nvidia.com/gpu", "profile": profile} for profile in UUIDS]
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 3}, "labels": {}, "devices": devices}
    machine.api.change(devices={NAME: {"nvidia.com/gpu": list(UUIDS.values())}})
    code, report, said = verified(machine, nodes=[wanted])
    assert code == 0, said
    assert [check.name for check in report.checks if "more" in check.name] == ["one more nvidia.com/gpu"]


def test_a_device_that_is_seen_but_does_not_compute_fails(machine: AMachine) -> None:
    says(machine, POD_2G, log("2g.20gb", compute="failed"))
    _, report, _ = verified(machine)
    (check,) = failed(report)
    assert (check.name, check.expected, check.seen) == (f"{POD_2G} computes", "passed", "failed")
    assert check.remedy.startswith("CUDA does not run on the device although it is visible: GPU 0: NVIDIA A100")
    assert check.remedy.endswith("Test PASSED / mig-verify: compute failed")


def test_cuda_that_waits_for_the_fabric_is_told_with_fabric_manager_as_the_way_out(machine: AMachine) -> None:
    words = "Failed to allocate device vector A (error code system not yet initialized)!"
    says(machine, POD_2G, log("2g.20gb", compute="failed").replace("Test PASSED", words))
    _, report, _ = verified(machine)
    (check,) = failed(report)
    assert (check.name, check.expected, check.seen) == (f"{POD_2G} computes", "passed", "failed")
    assert check.remedy == (
        "CUDA waits for the fabric between the GPUs (error 802: system not yet initialized). On the node: `systemctl "
        "status nvidia-fabricmanager`, and `nvidia-smi -q`, section Fabric. `pulumi up` installs and starts Fabric "
        "Manager on sizes with NVSwitch."
    )


def test_an_image_without_the_sample_is_said_to_prove_less(machine: AMachine) -> None:
    says(machine, POD_2G, log("2g.20gb", compute="absent"))
    code, report, _ = verified(machine)
    assert code == 0
    (check,) = [check for check in report.checks if check.name == f"{POD_2G} computes"]
    assert check.expected == "no sample in this image"


def test_whole_gpus_are_counted_by_gpu_and_need_not_compute_in_mig_mode(machine: AMachine) -> None:
    shows(machine, allocatable={"nvidia.com/gpu": "1"})
    device = {"pod": "mig-none-gpu-0", "resource": "nvidia.com/gpu", "profile": None, "compute": False}
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 1}, "labels": {}, "devices": [device]}
    says(machine, "mig-none-gpu-0", log(None, compute="failed"))
    code, report, _ = verified(machine, nodes=[wanted])
    assert code == 0
    assert report.devices[0].uuid == GPU_UUID


def test_a_cluster_without_devices_gets_no_pods(machine: AMachine) -> None:
    shows(machine, allocatable={})
    wanted = {"name": NAME, "allocatable": {}, "labels": {}, "devices": []}
    ended = called(machine, nodes=[wanted])
    assert ended.status == 0
    changes = [call for call in machine.api.calls() if call.split()[1] != "get"]
    assert changes == ["kubectl apply -f -"]  # what is remembered of it
