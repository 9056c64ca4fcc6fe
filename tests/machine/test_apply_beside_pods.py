"""`apply` on a node that runs: pods keep what they hold, or are evicted as far as budgets allow it."""

import json
from collections.abc import Callable

import pytest
from a_live_node import CHECKPOINT, RUNNING, LiveNode
from a_machine import NAME
from calls import call
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, layout

from machine.host.program import Ended


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    return LiveNode(gpus("A100-80GB"))


def test_pods_on_devices_that_stay_are_not_asked(live: LiveNode) -> None:
    live.hold(("training", 0), ("notebook", 3))
    before = [instance for instance in live.gpus.state() if instance["start"] < 4]
    assert live.apply(FOUR_STAY, options=("--drain",)).status == 0
    assert [instance for instance in live.gpus.state() if instance["start"] < 4] == before
    assert live.work() == ["notebook", "training"]
    assert live.api.calls("kubectl create") == []


def test_a_change_that_takes_a_device_from_a_pod_is_refused_and_names_it(live: LiveNode) -> None:
    live.hold(("training", 0), ("notebook", 5))
    before = live.gpus.state()
    ended = live.apply(FOUR_STAY)
    assert ended.status == 1
    (gpu,) = ended.report.gpus
    assert (gpu.outcome, gpu.removed, gpu.created) == ("refused", (), ())
    assert (
        "pods hold devices that must go: work/notebook (1g.10gb at 5). Delete them, or set mig.onChange to drain"
    ) in ended.stderr
    assert "training" not in ended.stderr
    assert live.gpus.state() == before
    assert live.api.calls("kubectl label") == []


def test_pods_that_have_ended_hold_nothing(live: LiveNode) -> None:
    live.hold(("notebook", 5), phase="Succeeded")
    assert live.apply(FOUR_STAY).status == 0


@pytest.mark.parametrize("how", ["option", "layout"])
def test_draining_evicts_exactly_the_pods_in_the_way(live: LiveNode, how: str) -> None:
    live.hold(("training", 0), ("notebook", 5))
    if how == "option":
        ended = live.apply(FOUR_STAY, options=("--drain",))
    else:
        ended = call(live.machine, "apply", stdin=layout(FOUR_STAY, on_change="drain"))
    assert ended.status == 0, ended.stderr
    assert ended.stderr.count("evicts pod work/notebook, which holds a device that must go\n") == 1
    assert live.work() == ["training"]
    assert live.gpus.places()[-1] == "9:4"


def test_every_pod_that_shares_a_device_is_in_the_way(live: LiveNode) -> None:
    live.hold(("first", 5), ("second", 5), shared=True)
    refused = live.apply(FOUR_STAY)
    assert "work/first (1g.10gb at 5), work/second (1g.10gb at 5)." in refused.stderr
    assert live.apply(FOUR_STAY, options=("--drain",)).status == 0
    assert live.work() == []


def test_a_gpu_is_not_changed_before_the_evicted_pods_have_ended(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    before = live.gpus.state()
    live.api.change(stuck=["notebook"])
    ended = live.apply(FOUR_STAY, options=("--drain",))
    assert ended.status == 1
    assert "evicted pods are still there after 300 s: notebook" in ended.report.gpus[0].reason
    assert live.gpus.state() == before
    assert live.api.labels() == {**RUNNING, "other": "true"}


def test_a_disruption_budget_is_respected_and_named_and_nothing_is_touched(live: LiveNode) -> None:
    live.hold(("aside", 4), ("notebook", 5))
    live.api.change(budgets={"notebook": ["one-notebook"]})
    before = live.gpus.state()
    ended = live.apply(FOUR_STAY, options=("--drain",))
    assert (ended.status, ended.report.gpus[0].outcome) == (1, "refused")
    assert (
        "pods may not be evicted: work/notebook: The disruption budget one-notebook needs 1 healthy pods and has 1 "
        "currently. Give the budget room, or delete the pods yourself"
    ) in ended.stderr
    assert live.gpus.state() == before
    assert live.work() == ["aside", "notebook"]
    assert live.api.calls("kubectl label") == []


@pytest.mark.parametrize(("refusals", "status"), [(1, 0), (999, 1)])
def test_a_budget_that_was_used_up_meanwhile_is_waited_for_within_a_bound(
    live: LiveNode, refusals: int, status: int
) -> None:
    """Only the eviction itself is refused, some times; the question before it was not."""
    live.hold(("notebook", 5))
    before, started, asked = live.gpus.state(), live.machine.clock.now, 0

    def refuse(words: tuple[str, ...]) -> Ended | None:
        nonlocal asked
        asked += 1
        said = "Error from server (TooManyRequests): Cannot evict pod"
        return Ended(words, 1, "", said) if 1 < asked <= 1 + refusals else None

    live.api.before("/eviction", refuse)
    ended = live.apply(FOUR_STAY, options=("--drain",))
    assert ended.status == status, ended.stderr
    assert (live.gpus.state() == before) == bool(status)
    said = "pods may not be evicted: work/notebook: its disruption budget forbids it" in ended.stderr
    assert said == bool(status)
    assert live.api.labels() == {**RUNNING, "other": "true"}
    if status:
        assert 120 <= live.machine.clock.now - started <= 130


def test_two_budgets_for_one_pod_are_told_in_the_apis_own_words(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    live.api.change(budgets={"notebook": ["one", "two"]})
    before = live.gpus.state()
    ended = live.apply(FOUR_STAY, options=("--drain",))
    assert (ended.status, live.gpus.state()) == (1, before)
    assert "This pod has more than one PodDisruptionBudget" in ended.report.gpus[0].reason


def test_a_pod_that_ends_at_once_is_given_a_second_so_that_its_end_is_seen(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    (item,) = live.api.listed("pods")
    live.api.change(pods=[{**item, "spec": {**item["spec"], "terminationGracePeriodSeconds": 0}}])
    assert live.apply(FOUR_STAY, options=("--drain",)).status == 0
    calls = live.api.calls()
    evicted = max(number for number, line in enumerate(calls) if "/eviction" in line)
    looks = [line for line in calls[evicted:] if line.startswith("kubectl get pods")]
    assert len(looks) == 2, "the API server forgot the pod at once, whatever still ran"


def test_a_pod_that_its_owner_makes_again_under_its_name_is_not_waited_for(live: LiveNode) -> None:
    live.hold(("stateful-0", 5))
    live.api.change(owned=["stateful-0"])
    started = live.machine.clock.now
    ended = live.apply(FOUR_STAY, options=("--drain",))
    assert ended.status == 0, ended.stderr
    assert live.machine.clock.now - started < 10
    assert live.work() == ["stateful-0"]


def test_a_pod_that_was_made_again_meanwhile_is_not_evicted(live: LiveNode) -> None:
    live.hold(("stateful-0", 5))
    again = {**live.api.listed("pods")[0], "metadata": {"name": "stateful-0", "namespace": "work", "uid": "another"}}
    live.api.before("/eviction", lambda _: live.api.change(pods=[again]))
    assert live.apply(FOUR_STAY, options=("--drain",)).status == 0
    assert [item["metadata"]["uid"] for item in live.api.listed("pods") if item["metadata"]["namespace"] == "work"] == [
        "another"
    ]


def test_without_an_answer_of_the_api_nothing_is_touched_after_a_minute(live: LiveNode) -> None:
    live.api.change(away=True)
    before, started = live.gpus.state(), live.machine.clock.now
    ended = live.apply(TUTORIAL)
    assert ended.status == 1
    assert "The connection to the server 127.0.0.1:6443 was refused" in ended.report.gpus[0].reason
    assert live.gpus.state() == before
    assert 60 <= live.machine.clock.now - started < 70


def test_an_api_server_that_just_restarts_is_waited_for(live: LiveNode) -> None:
    live.api.change(away=True)
    live.machine.clock.at(20, lambda: live.api.change(away=False))
    assert live.apply(TUTORIAL).status == 0


def test_a_node_that_has_not_registered_yet_has_no_clients_to_pause(live: LiveNode) -> None:
    live.api.change(nodes=[])
    assert live.apply(TUTORIAL).status == 0
    assert live.api.calls("kubectl label") == []


def test_rke2_that_starts_without_a_kubeconfig_has_no_clients_to_pause(live: LiveNode) -> None:
    live.machine.path("/etc/rancher/rke2/rke2.yaml").unlink()
    ended = live.apply(TUTORIAL)
    assert ended.status == 0
    assert "RKE2 is starting and there is no kubeconfig yet" in ended.stderr


def test_an_agent_needs_no_more_than_the_kubelets_own_rights(gpus: Callable[..., Gpus]) -> None:
    live = LiveNode(gpus("A100-80GB"), role="agent")
    live.hold(("notebook", 5))
    ended = live.apply(TUTORIAL, options=("--drain",))
    assert ended.status == 0, ended.stderr
    assert live.work() == []
    assert live.api.labels() == {**RUNNING, "other": "true"}


# ---- the kubelet's record


@pytest.mark.parametrize("text", ["{", "[]", '{"Data": 1}', '{"Data": {"PodDeviceEntries": [{"PodUID": "a"}]}}'])
def test_a_record_of_the_kubelet_that_is_not_understood_is_told_and_nothing_is_touched(
    live: LiveNode, text: str
) -> None:
    live.machine.write(CHECKPOINT, text)
    before = live.gpus.state()
    ended = live.apply(FOUR_STAY)
    assert (ended.status, live.gpus.state()) == (1, before)
    assert f"{CHECKPOINT}, the kubelet's record of devices, is not understood: " in ended.report.gpus[0].reason


def test_a_record_without_entries_and_devices_of_others_are_in_nobodys_way(live: LiveNode) -> None:
    live.machine.write(CHECKPOINT, json.dumps({"Data": {"PodDeviceEntries": None}}))
    assert live.apply(FOUR_STAY).status == 0
    live.hold(("notebook", 0))
    text = live.machine.read(CHECKPOINT).replace("nvidia.com/gpu", "example.com/nic")
    live.machine.write(CHECKPOINT, text)
    assert live.apply(TUTORIAL).status == 0


def test_a_record_with_the_devices_in_one_list_is_read_too(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    data = json.loads(live.machine.read(CHECKPOINT))
    data["Data"]["PodDeviceEntries"][0]["DeviceIDs"] = [live.uuids[5]]
    live.machine.write(CHECKPOINT, json.dumps(data))
    assert "work/notebook (1g.10gb at 5)" in live.apply(FOUR_STAY).stderr


def test_an_instance_whose_holder_cannot_be_told_is_not_removed(live: LiveNode) -> None:
    """The XML of nvidia-smi says which MIG device is which instance; without it nobody knows who holds one."""
    live.hold(("training", 0))
    before = live.gpus.state()
    real = (live.machine.programs / "nvidia-smi").readlink()
    body = f'[ "$*" = "-i 0 -q -x" ] && exit 9\nexec -a nvidia-smi {real} "$@"'
    live.machine.program("nvidia-smi", body)
    ended = live.apply(FOUR_STAY)
    assert (ended.status, live.gpus.state()) == (1, before)
    assert ended.report.gpus[0].reason == (
        "nvidia-smi does not tell the UUID of 1g.10gb at 4, 1g.10gb at 5, 1g.10gb at 6, so who holds it is unknown: "
        "see `nvidia-smi -L`, and the mig_devices of `nvidia-smi -q -x`"
    )
    assert live.apply(SEVEN).status == 0
    assert NAME in live.machine.read("etc/mig-k8s/desired.json")
