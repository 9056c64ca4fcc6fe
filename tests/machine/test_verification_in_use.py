"""A verification of a cluster whose devices pods of users hold, take and give back meanwhile."""

import pytest
from a_machine import CHECKPOINT, NAME, AMachine
from calls import call
from kubernetes_objects import node, pod_for
from verified_cluster import (
    ALLOCATABLE,
    EVERYTHING,
    GPU_UUID,
    LABELS,
    NAMESPACE,
    POD_1G,
    POD_2G,
    POD_3G,
    PODS,
    UUIDS,
    as_it_should_be,
    at,
    becomes,
    expectations,
    failed,
    hold,
    left,
    log,
    says,
    shows,
    verified,
)

from machine.documents.verification_report import ProvenDevice, VerificationReport
from machine.host.program import Ended

RESOURCES = {profile: f"nvidia.com/mig-{profile}" for profile in UUIDS}
OTHER = "MIG-00000000-0000-5000-8000-000000000000"
AGENT = "gpu-agent"


@pytest.fixture
def machine(a_machine: AMachine) -> AMachine:
    as_it_should_be(a_machine)
    return a_machine


def proofs(report: VerificationReport) -> dict[str | None, str]:
    """UUID -> how the device was proven."""
    assert len({device.uuid for device in report.devices}) == len(report.devices)
    return {device.uuid: device.proof for device in report.devices}


def users(machine: AMachine) -> dict[str, str]:
    """The phases of users' pods."""
    pods = machine.api.listed("pods")
    return {p["metadata"]["name"]: p["status"]["phase"] for p in pods if p["metadata"]["namespace"] == "work"}


# ---- devices in use


def test_a_device_that_a_users_pod_holds_is_proven_by_the_kubelets_record(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert report.seconds < 10
    assert report.devices == (
        *(
            ProvenDevice(NAME, PODS[p], p, UUIDS[p], GPU_UUID, RESOURCES[p], "proven by a pod")
            for p in ("2g.20gb", "1g.10gb")
        ),
        ProvenDevice(
            NAME, "work/train", "3g.40gb", UUIDS["3g.40gb"], GPU_UUID, RESOURCES["3g.40gb"], "in use by work/train"
        ),
    )
    (check,) = [check for check in report.checks if check.name == "work/train holds a device"]
    assert (check.node, check.expected, check.seen) == (NAME, "MIG device 3g.40gb", "MIG device 3g.40gb")
    assert {check.expected for check in report.checks if check.name == "devices are distinct"} == {
        "3 different devices"
    }
    assert [check.name for check in report.checks if check.name.startswith("one more")] == [
        "one more nvidia.com/mig-3g.40gb",
        "one more nvidia.com/mig-2g.20gb",
        "one more nvidia.com/mig-1g.10gb",
    ]
    assert users(machine) == {"train": "Running"}
    assert left(machine) == []


def test_with_no_device_free_it_passes_and_says_who_has_them(machine: AMachine) -> None:
    for profile, uuid in UUIDS.items():
        hold(machine, f"train-{profile[0]}", RESOURCES[profile], uuid)
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert proofs(report) == {
        UUIDS["3g.40gb"]: "in use by work/train-3",
        UUIDS["2g.20gb"]: "in use by work/train-2",
        UUIDS["1g.10gb"]: "in use by work/train-1",
    }
    assert said.splitlines()[-4:-1] == [
        f"{NAME}: 1 × {profile}: in use by work/train-{profile[0]}" for profile in ("3g.40gb", "2g.20gb", "1g.10gb")
    ]


def test_a_pod_that_was_given_several_devices_accounts_for_each(machine: AMachine) -> None:
    shows(machine, allocatable={"nvidia.com/gpu": "3"})
    devices = [{"pod": PODS[profile], "resource": "nvidia.com/gpu", "profile": "1g.10gb"} for profile in UUIDS]
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 3}, "labels": {}, "devices": devices}
    sevenths = [f"MIG-{number}0000000-0000-5000-8000-000000000000" for number in range(3)]
    lines = "".join(f"  MIG 1g.10gb     Device  {i}: (UUID: {uuid})\n" for i, uuid in enumerate(sevenths))
    machine.says("nvidia-smi", f"{EVERYTHING.splitlines()[0]}\n{lines}")
    machine.api.change(
        devices={NAME: {"nvidia.com/gpu": sevenths}}, device_logs={uuid: log("1g.10gb", uuid) for uuid in sevenths}
    )
    holder = {**pod_for("nvidia.com/gpu", "train", 2, nodeName=NAME), "status": {"phase": "Running"}}
    record = {"node": NAME, "uid": "uid-train", "resource": "nvidia.com/gpu", "ids": sevenths[:2]}
    machine.api.change(pods=[holder], record=[record])
    code, report, said = verified(machine, nodes=[wanted], seconds=1200)
    assert code == 0, said
    assert proofs(report) == dict(zip(sevenths, [*["in use by work/train"] * 2, "proven by a pod"], strict=True))


def test_a_device_that_an_init_container_passes_on_is_held_once(machine: AMachine) -> None:
    """The kubelet has it in its record for both."""
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    record = machine.api.objects()["record"]
    machine.api.change(record=[*record, *record])
    code, report, said = verified(machine)
    assert code == 0, said
    assert proofs(report)[UUIDS["3g.40gb"]] == "in use by work/train"


def test_what_the_record_says_of_pods_that_are_gone_counts_for_nothing(machine: AMachine) -> None:
    old = {"node": NAME, "uid": "uid-of-old", "resource": RESOURCES["2g.20gb"], "ids": [UUIDS["2g.20gb"]]}
    machine.api.change(record=[old])
    code, report, said = verified(machine)
    assert code == 0, said
    assert set(proofs(report).values()) == {"proven by a pod"}


# ---- what must never pass


@pytest.mark.parametrize(
    ("device", "seen"),
    [
        (OTHER, f"{OTHER}, which is not of this machine"),
        (UUIDS["2g.20gb"], f"MIG device 2g.20gb, which {POD_2G} has too"),
        (GPU_UUID, "a whole GPU"),
    ],
    ids=["not on the list", "of another profile and given out twice", "a whole GPU"],
)
def test_a_device_in_use_that_is_not_right_fails_with_its_remedy(machine: AMachine, device: str, seen: str) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], device)
    code, report, _ = verified(machine, seconds=300)
    assert code == 1
    (check,) = [check for check in failed(report) if check.name == "work/train holds a device"]
    assert (check.expected, check.seen) == ("MIG device 3g.40gb", seen)
    assert check.remedy == "Delete work/train: its owner makes it again with a device that is there and its own."
    (own,) = [check for check in failed(report) if check.name == "devices are the machine's"]
    assert f"no pod has {UUIDS['3g.40gb']}" in own.seen
    assert left(machine) == []


def test_one_device_in_use_does_not_account_for_two_that_pods_of_ours_lack(machine: AMachine) -> None:
    """A pod asked for two devices, and the kubelet gave it one."""
    shows(machine, allocatable={"nvidia.com/gpu": "3"})
    devices = [{"pod": PODS[profile], "resource": "nvidia.com/gpu", "profile": profile} for profile in UUIDS]
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 3}, "labels": {}, "devices": devices}
    holder = {**pod_for("nvidia.com/gpu", "train", 2, nodeName=NAME), "status": {"phase": "Running"}}
    record = {"node": NAME, "uid": "uid-train", "resource": "nvidia.com/gpu", "ids": [UUIDS["3g.40gb"]]}
    machine.api.change(pods=[holder], record=[record], devices={NAME: {"nvidia.com/gpu": list(UUIDS.values())}})
    code, report, _ = verified(machine, nodes=[wanted], seconds=20)
    assert code == 1
    silent = [check for check in failed(report) if check.expected == "runs"]
    assert len(silent) == 1
    assert "Insufficient nvidia.com/gpu" in silent[0].seen


def test_a_device_that_two_users_pods_hold_fails(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    hold(machine, "serve", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    code, report, _ = verified(machine, seconds=300)
    assert code == 1
    seen = {check.name: check.seen for check in failed(report)}
    assert seen["work/train holds a device"] == "MIG device 3g.40gb, which work/serve has too"
    assert seen["work/serve holds a device"] == "MIG device 3g.40gb, which work/train has too"
    assert seen["devices are distinct"] == f"3 different devices, shared: {UUIDS['3g.40gb']}"


def test_a_pod_that_holds_a_device_under_a_resource_of_before_a_change_fails(machine: AMachine) -> None:
    """The kubelet takes the device for free, and gives it to the next pod as well."""
    hold(machine, "train", "nvidia.com/gpu", UUIDS["1g.10gb"])
    code, report, _ = verified(machine, seconds=300)
    assert code == 1
    (check,) = [check for check in failed(report) if check.name == "work/train holds a device"]
    assert (check.expected, check.seen) == ("nothing of nvidia.com/gpu", f"MIG device 1g.10gb, which {POD_1G} has too")


def test_a_device_that_the_plugin_never_told_the_kubelet_of_fails(machine: AMachine) -> None:
    """The count is right: another one stands in the list under two names."""
    shows(machine, allocatable={"nvidia.com/gpu": "3"})
    devices = [{"pod": PODS[profile], "resource": "nvidia.com/gpu", "profile": profile} for profile in UUIDS]
    wanted = {"name": NAME, "allocatable": {"nvidia.com/gpu": 3}, "labels": {}, "devices": devices}
    twice = UUIDS["3g.40gb"]
    machine.api.change(devices={NAME: {"nvidia.com/gpu": [f"{twice}::0", f"{twice}::1", UUIDS["2g.20gb"]]}})
    hold(machine, "train", "nvidia.com/gpu", f"{twice}::0")
    code, report, _ = verified(machine, nodes=[wanted], seconds=300)
    assert code == 1
    seen = {check.name: check.seen for check in failed(report)}
    assert seen["devices are distinct"] == f"2 different devices, shared: {twice}"
    assert seen["devices are the machine's"] == f"no pod has {UUIDS['1g.10gb']}"


def test_a_pod_of_ours_that_sees_nothing_is_a_failure_also_where_others_are_in_use(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    says(machine, POD_2G, "mig-verify: compute failed\n")
    code, report, _ = verified(machine)
    assert code == 1
    assert {check.name for check in failed(report)} == {
        f"{POD_2G} sees its device",
        f"{POD_2G} computes",
        "devices are distinct",
        "devices are the machine's",
    }


def test_a_record_that_cannot_be_read_proves_nothing(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    machine.api.record = machine.folder / "not its own"  # where the kubelet of the tests goes on writing
    machine.write(CHECKPOINT, "{")
    code, report, _ = verified(machine, seconds=20)
    assert code == 1
    (check,) = failed(report)
    assert check.name == POD_3G
    assert "the kubelet's record of devices, is not understood" in check.seen


# ---- devices that change hands


def test_a_users_pod_takes_the_device_of_ours_at_once_and_that_is_not_a_failure(machine: AMachine) -> None:
    becomes(machine, POD_1G, {"phase": "Pending", "conditions": []})  # keeps the verification waiting
    machine.clock.at(10, lambda: machine.api.submit(pod_for(RESOURCES["3g.40gb"], "train")))
    machine.clock.at(14, lambda: runs.append(users(machine)["train"]))
    machine.clock.at(20, lambda: machine.api.change(statuses={}))
    runs: list[str] = []
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert runs == ["Running"]
    assert proofs(report)[UUIDS["3g.40gb"]] == "in use by work/train"
    assert f"{POD_3G}: it gave way to another pod" in said
    assert users(machine) == {"train": "Running"}


def test_a_device_that_is_given_back_meanwhile_is_proven_by_a_pod(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    becomes(machine, POD_1G, {"phase": "Pending", "conditions": []})
    machine.clock.at(10, lambda: machine.api.end("train"))
    machine.clock.at(20, lambda: machine.api.change(statuses={}))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert set(proofs(report).values()) == {"proven by a pod"}


def test_a_device_that_is_taken_and_given_back_is_proven_by_a_pod_again(machine: AMachine) -> None:
    becomes(machine, POD_1G, {"phase": "Pending", "conditions": []})
    machine.clock.at(10, lambda: machine.api.submit(pod_for(RESOURCES["3g.40gb"], "train")))
    machine.clock.at(20, lambda: machine.api.end("train"))
    machine.clock.at(30, lambda: machine.api.change(statuses={}))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert set(proofs(report).values()) == {"proven by a pod"}


@pytest.mark.parametrize("when", ["^logs .*no-request", "^create .*", "^delete pods"])
def test_a_pod_that_takes_a_device_at_any_moment_runs_and_fails_nothing(machine: AMachine, when: str) -> None:
    for nth in range(1, 6):
        name = f"train-{nth}"
        at(machine, nth, when, lambda _, name=name: machine.api.submit(pod_for(RESOURCES["2g.20gb"], name)))  # type: ignore[misc]
        code, _, said = verified(machine, seconds=1200)
        assert code == 0, said
        if name in users(machine):
            machine.api.submit()
            assert users(machine)[name] in ("Pending", "Running")
            machine.api.change(pods=[])
        machine.api.hooks.clear()


def test_a_device_that_is_given_back_during_the_last_checks_is_not_one_too_many(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    at(machine, 1, "^logs .*no-request", lambda _: machine.api.end("train"))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    (check,) = [check for check in report.checks if check.name == f"one more {RESOURCES['3g.40gb']}"]
    assert check.seen == "Pending"


def test_a_device_that_is_free_for_the_pod_too_many_is_not_one_too_many(machine: AMachine) -> None:
    """Taken from a pod of ours when it had told, and given back when the pod more was made."""
    at(machine, 3, f"^get pods -n {NAMESPACE}", lambda _: machine.api.submit(pod_for(RESOURCES["2g.20gb"], "train")))
    at(machine, 4, "^create -n [^ ]+ --validate", lambda _: machine.api.end("train"))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert users(machine) == {"train": "Succeeded"}
    assert len(machine.api.calls(f"kubectl create -n {NAMESPACE} --validate")) == 5  # the last for another pod more
    (check,) = [check for check in report.checks if check.name == f"one more {RESOURCES['2g.20gb']}"]
    assert check.seen == "Pending"


def test_a_device_is_not_called_given_out_twice_while_it_changes_hands(machine: AMachine) -> None:
    """The looks at pods and at the record are a moment apart."""
    hold(machine, "train", RESOURCES["2g.20gb"], UUIDS["3g.40gb"])
    machine.clock.at(5, lambda: machine.api.end("train"))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert set(proofs(report).values()) == {"proven by a pod"}


def test_a_pod_that_the_kubelet_has_no_device_for_any_more_is_made_again(machine: AMachine) -> None:
    """The scheduler was quicker than the kubelet: the device of a pod that has ended was not free yet."""
    refused = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed due to ..."}
    becomes(machine, POD_2G, refused)
    machine.clock.at(5, lambda: machine.api.change(statuses={}))
    code, report, said = verified(machine, seconds=1200)
    assert code == 0, said
    assert set(proofs(report).values()) == {"proven by a pod"}


def test_it_takes_no_device_from_a_pod_of_whatever_priority(machine: AMachine) -> None:
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    pods = machine.api.listed("pods")
    pods[-1]["spec"]["priority"] = -2147483647
    machine.api.change(pods=pods)
    code, _, said = verified(machine)
    assert code == 0, said
    assert users(machine) == {"train": "Running"}


# ---- another machine's devices


@pytest.fixture
def pool(machine: AMachine) -> AMachine:
    """A server without a GPU, where the verification runs, and an agent with the tutorial's devices."""
    machine.desire(node={"name": "server"})
    (agent,) = machine.api.listed("nodes")
    agent["metadata"]["name"] = AGENT
    server = node("server", agent["status"]["nodeInfo"]["bootID"], {}, {})
    machine.api.change(
        nodes=[server, agent],
        devices={AGENT: machine.api.objects()["devices"][NAME]},
        listings={AGENT: EVERYTHING},
    )
    machine.api.node_name = "server"
    machine.program("nvidia-smi", "echo 'no GPU here'; exit 9")
    return machine


def of_the_pool() -> list[dict[str, object]]:
    devices = [{"pod": PODS[p], "resource": RESOURCES[p], "profile": p} for p in UUIDS]
    counts = {name: int(count) for name, count in ALLOCATABLE.items()}
    server: dict[str, object] = {"name": "server", "allocatable": {}, "labels": {}, "devices": []}
    return [server, {"name": AGENT, "allocatable": counts, "labels": LABELS, "devices": devices}]


def test_a_device_of_another_machine_is_proven_by_the_record_of_its_kubelet(pool: AMachine) -> None:
    hold(pool, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"], AGENT)
    code, report, said = verified(pool, nodes=of_the_pool(), seconds=1200)
    assert code == 0, said
    assert proofs(report)[UUIDS["3g.40gb"]] == "in use by work/train"
    assert {device.node for device in report.devices} == {AGENT}


def test_a_device_that_another_machine_does_not_list_fails(pool: AMachine) -> None:
    hold(pool, "train", RESOURCES["3g.40gb"], OTHER, AGENT)
    code, report, _ = verified(pool, nodes=of_the_pool(), seconds=300)
    assert code == 1
    seen = {(check.name, check.node): check.seen for check in failed(report)}
    assert seen == {
        ("work/train holds a device", AGENT): f"{OTHER}, which is not of this machine",
        ("devices are the machine's", AGENT): f"no pod has {UUIDS['3g.40gb']}",
    }


def test_nothing_is_run_on_another_machine_whose_devices_are_all_free(pool: AMachine) -> None:
    code, _, said = verified(pool, nodes=of_the_pool())
    assert code == 0, said
    assert pool.api.calls("kubectl exec") == []


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("Error from server: error dialing backend: dial tcp 10.0.0.5:10250: connect: no route to host", "no route to"),
        (
            "Error from server (Forbidden): pods is forbidden: cannot create resource pods/exec",
            "cannot create resource",
        ),
        ("sh: cat: not found / command terminated with exit code 127", "exit code 127"),
    ],
)
def test_another_machine_whose_record_nobody_can_read_is_told_with_the_reason(
    pool: AMachine, said: str, seen: str
) -> None:
    hold(pool, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"], AGENT)
    pool.api.before("^exec", lambda command: Ended(command, 1, "", said))
    code, report, _ = verified(pool, nodes=of_the_pool(), seconds=20)
    assert code == 1
    (check,) = failed(report)
    assert (check.name, check.node) == (POD_3G, AGENT)
    assert seen in check.seen


@pytest.mark.parametrize(
    ("listing", "seen"), [("", "its nvidia-smi lists no GPU"), (None, "no device plugin runs there")]
)
def test_another_machine_that_cannot_tell_is_told_with_the_reason(
    pool: AMachine, listing: str | None, seen: str
) -> None:
    hold(pool, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"], AGENT)
    if listing is None:
        pool.api.change(daemons={}, pods=[pod for pod in pool.api.listed("pods") if "labels" not in pod["metadata"]])
    else:
        pool.api.change(listings={AGENT: listing})
    _, report, _ = verified(pool, nodes=of_the_pool(), seconds=20)
    (check,) = failed(report)
    assert (check.name, check.node) == (POD_3G, AGENT)
    assert seen in check.seen


# ---- sharing


def shared(machine: AMachine, replicas: int) -> list[dict[str, object]]:
    """The tutorial's devices, each for so many pods; what the plan expects of them."""
    ids = {RESOURCES[p]: [f"{uuid}::{number}" for number in range(replicas)] for p, uuid in UUIDS.items()}
    shows(machine, allocatable={resource: str(replicas) for resource in ids})
    machine.api.change(devices={NAME: ids})
    devices = [
        {"pod": f"{PODS[p]}-{number}", "resource": RESOURCES[p], "profile": p, "replicas": replicas}
        for p in UUIDS
        for number in range(replicas)
    ]
    counts = dict.fromkeys(ids, replicas)
    return [{"name": NAME, "allocatable": counts, "labels": LABELS, "devices": devices}]


def test_a_device_that_is_shared_is_proven_by_as_many_pods(machine: AMachine) -> None:
    code, report, said = verified(machine, nodes=shared(machine, 4))
    assert code == 0, said
    assert [device.uuid for device in report.devices] == [uuid for uuid in UUIDS.values() for _ in range(4)]
    (check,) = [check for check in report.checks if check.name == "devices are distinct"]
    assert check.seen == "3 different devices"


def test_a_shared_device_that_some_users_hold_is_proven_by_both(machine: AMachine) -> None:
    wanted = shared(machine, 3)
    hold(machine, "train", RESOURCES["3g.40gb"], f"{UUIDS['3g.40gb']}::1")
    hold(machine, "serve", RESOURCES["3g.40gb"], f"{UUIDS['3g.40gb']}::2")
    code, report, said = verified(machine, nodes=wanted, seconds=1200)
    assert code == 0, said
    of_3g = sorted(device.proof for device in report.devices if device.uuid == UUIDS["3g.40gb"])
    assert of_3g == ["in use by work/serve", "in use by work/train", "proven by a pod"]


def test_more_pods_on_a_shared_device_than_may_share_it_fail(machine: AMachine) -> None:
    wanted = shared(machine, 2)
    says(machine, f"{POD_2G}-0", log("2g.20gb", UUIDS["1g.10gb"]))
    code, report, _ = verified(machine, nodes=wanted)
    assert code == 1
    (check,) = [check for check in failed(report) if check.name == "devices are distinct"]
    assert check.seen == f"3 different devices, shared: {UUIDS['1g.10gb']}"


# ---- namespace and PriorityClass


@pytest.mark.parametrize(
    "words",
    [
        "no PriorityClass with name mig-k8s-verify was found",
        'error looking up service account mig-k8s-verify/default: serviceaccount "default" not found',
    ],
)
def test_a_namespace_into_which_no_pod_is_ever_let_ends_without_a_verdict_and_leaves_nothing(
    machine: AMachine, words: str
) -> None:
    refusal = (
        f'Error from server (Forbidden): error when creating "STDIN": pods "image-pull-probe" is forbidden: {words}'
    )
    machine.api.before("dry-run", lambda command: Ended(command, 1, "", refusal))
    ended = call(machine, "verify", stdin=expectations())
    assert ended.status == 2
    assert "the API server lets no pod into namespace mig-k8s-verify, 60 s after it was made: " in ended.stderr
    assert f"{words}. The control plane has to come up first: kubectl get pods -n kube-system" in ended.stderr
    assert left(machine) == []


def test_a_priority_class_of_a_killed_run_is_made_anew(machine: AMachine) -> None:
    old = {"metadata": {"name": "mig-k8s-verify"}, "value": 5, "preemptionPolicy": "PreemptLowerPriority", "asked": 1}
    machine.api.change(priorityclasses=[old], namespaces=[{"metadata": {"name": NAMESPACE}}])
    hold(machine, "train", RESOURCES["3g.40gb"], UUIDS["3g.40gb"])
    code, _, said = verified(machine)
    assert code == 0, said
    assert users(machine) == {"train": "Running"}
