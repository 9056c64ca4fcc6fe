"""What a machine does once the GPU Operator's release holds a new layout, where MIG Manager makes it: `label`."""

import fcntl
import functools
from collections.abc import Callable

import pytest
from a_live_node import LiveNode
from a_machine import AMachine
from a_mig_manager import CONFIG, MANAGER, STATE, MigManager, document, mig_labels, owned_node
from calls import Called, call
from gpus import SEVEN, TUTORIAL, Gpus, layout

from machine.documents.layout import GpuLayout, Layout
from machine.gpu.comparison import compared
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.program import Ended


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    return owned_node(gpus("A100-80GB"))


@pytest.fixture
def manager(live: LiveNode) -> MigManager:
    return MigManager(live)


def label(live: LiveNode, *gpus: GpuLayout) -> Called:
    return call(live.machine, "label", stdin=document(*gpus))


def freeze_gpu(live: LiveNode) -> None:
    """From now on nothing changes on the GPU, and nvidia-smi is run once for each question."""
    said = functools.cache(super(AMachine, live.machine).run)
    live.machine.answers["nvidia-smi"] = lambda command, _: said(*command)


def test_mig_manager_is_told_by_the_label_and_the_host_forgets_its_layout(live: LiveNode, manager: MigManager) -> None:
    live.machine.write("etc/mig-k8s/layout.json", layout(SEVEN))
    live.machine.systemd.set(known=["nvidia-cdi-refresh.service"])
    manager.makes = "9:4,14:0,19:2"
    ended = label(live, TUTORIAL)
    assert (ended.status, ended.stdout) == (0, ""), ended.stderr
    assert mig_labels(live) == {CONFIG: "new", STATE: "success"}
    assert not live.machine.path("/etc/mig-k8s/layout.json").exists()
    assert ended.stderr == ("mlops-k8s-master: nvidia.com/mig.config=new\nmlops-k8s-master has the devices of new\n")
    assert live.machine.systemd.calls("systemctl restart") == ["systemctl restart nvidia-cdi-refresh.service"]


def test_an_old_success_is_not_taken_for_the_new_one(live: LiveNode, manager: MigManager) -> None:
    manager.states = ["success", "pending", "success"]  # and the GPU keeps its seven devices
    freeze_gpu(live)
    started = live.machine.clock.now
    ended = label(live, TUTORIAL)
    assert ended.status == 1
    assert ended.stderr.endswith(
        "mig-k8s: MIG Manager has not made nvidia.com/mig.config=new on mlops-k8s-master: `kubectl logs -n nvidia -l "
        "app=nvidia-mig-manager` tells why. Deleted (`kubectl delete pod -n nvidia -l app=nvidia-mig-manager`), it "
        "begins anew; then `pulumi up`. Given up after 900 s\n"
    )
    assert 900 <= live.machine.clock.now - started < 910
    assert ended.stderr.count("waiting for MIG Manager, up to ") >= 25


def test_devices_that_are_there_before_mig_manager_has_ended_are_not_the_end(
    live: LiveNode, manager: MigManager
) -> None:
    """It still starts the GPU clients that it paused."""
    manager.states = ["pending", "pending", "pending", "success"]
    assert label(live, SEVEN).status == 0
    assert mig_labels(live) == {CONFIG: "new", STATE: "success"}


def test_a_failure_is_told_with_the_way_out(live: LiveNode, manager: MigManager) -> None:
    manager.states = ["failed"]
    ended = label(live, TUTORIAL)
    assert ended.status == 1
    assert ended.stderr.endswith(
        "MIG Manager failed at nvidia.com/mig.config=new on mlops-k8s-master: `kubectl logs -n nvidia"
        " -l app=nvidia-mig-manager` tells why; then `pulumi up`\n"
    )


def test_a_failure_of_an_earlier_change_is_outlasted(live: LiveNode, manager: MigManager) -> None:
    manager.states = ["failed", "failed", "failed", "failed", "pending", "success"]
    manager.makes = "9:4,14:0,19:2"
    assert label(live, TUTORIAL).status == 0


@pytest.mark.parametrize("pods", [("older",), ("older", "map"), ()])
def test_the_label_is_set_when_the_one_mig_manager_has_the_new_configuration_only(
    live: LiveNode, manager: MigManager, pods: tuple[str, ...]
) -> None:
    live.machine.write("etc/mig-k8s/layout.json", layout(SEVEN))
    manager.runs(*pods)
    ended = label(live, SEVEN)
    assert ended.status == 1
    assert ended.stderr.endswith(
        "mig-k8s: no MIG Manager with the configuration map runs on mlops-k8s-master: `kubectl get pods -n nvidia -l "
        "app=nvidia-mig-manager -o wide` shows what is there. With updateStrategy OnDelete, delete it. Given up after "
        "60 s\n"
    )
    assert mig_labels(live) == {CONFIG: "old", STATE: "success"}
    assert live.machine.path("/etc/mig-k8s/layout.json").exists(), "nobody else makes the instances yet"


def test_a_mig_manager_that_starts_or_ends_is_waited_for(live: LiveNode, manager: MigManager) -> None:
    manager.makes = "9:4,14:0,19:2"
    (waits,) = [item for item in live.api.listed("pods") if item["metadata"]["name"] == f"{MANAGER}-0"]
    live.api.change(pods=[{**waits, "status": {"phase": "Pending"}}], statuses={f"{MANAGER}-0": {"phase": "Pending"}})
    live.machine.clock.at(20, lambda: manager.runs("older", "map"))
    live.machine.clock.at(40, lambda: manager.runs("map"))
    started = live.machine.clock.now
    assert label(live, TUTORIAL).status == 0
    assert live.machine.clock.now - started >= 40


def test_a_machine_that_is_as_it_should_be_is_not_labelled_again(live: LiveNode, manager: MigManager) -> None:
    manager.config = "new"
    live.api.label(**{CONFIG: "new", STATE: "success"})
    ended = label(live, SEVEN)
    assert (ended.status, ended.stderr) == (0, "mlops-k8s-master has nvidia.com/mig.config=new already\n")
    assert live.api.calls("kubectl label") == []


def test_a_success_without_the_devices_is_made_again(live: LiveNode, manager: MigManager) -> None:
    live.api.label(**{CONFIG: "new", STATE: "success"})
    manager.config, manager.makes = "new", "9:4,14:0,19:2"
    assert label(live, TUTORIAL).status == 0
    assert live.gpus.places() == ["14:0", "19:2", "9:4"]


def test_the_same_label_is_taken_off_first_because_only_a_change_counts(live: LiveNode, manager: MigManager) -> None:
    live.api.label(**{CONFIG: "new", STATE: "failed"})
    manager.config = "new"
    manager.states, manager.makes = ["failed", "success"], "9:4,14:0,19:2"
    assert label(live, TUTORIAL).status == 0
    assert [call.split("--overwrite ")[1] for call in live.api.calls("kubectl label")] == [
        "nvidia.com/mig.config-",
        "nvidia.com/mig.config=new nvidia.com/mig.config.state-",
    ]


def test_a_success_with_the_devices_but_another_mode_is_not_believed(live: LiveNode) -> None:
    assert compared(NvidiaSmi(live.machine), Layout((SEVEN,))).is_right
    listed = live.gpus.smi("-L")
    for mode in ("Enabled, Disabled", "Disabled, Disabled"):
        queried = f"0, {live.gpus.uuids[0]}, {mode}"

        def answer(words: tuple[str, ...], _stdin: str, queried: str = queried) -> Ended:
            return Ended(words, 0, listed if words[1] == "-L" else queried, "")

        live.machine.answers["nvidia-smi"] = answer
        assert not compared(NvidiaSmi(live.machine), Layout((SEVEN,))).is_right


def test_a_gpu_that_does_not_answer_is_neither_right_nor_to_be_emptied(live: LiveNode) -> None:
    live.gpus.faults(off_the_bus=[0])
    seen = compared(NvidiaSmi(live.machine), Layout((SEVEN,)))
    assert (seen.is_right, seen.to_be_emptied, seen.with_another_mode) == (False, [], [])


def test_a_layout_of_another_machine_labels_no_node(live: LiveNode) -> None:
    before = mig_labels(live)
    live.machine.desire(node={"name": "gpu-1"})
    ended = label(live, TUTORIAL)
    assert ended.status == 2
    assert "this machine is gpu-1, and what came is for mlops-k8s-master: nothing was changed" in ended.stderr
    assert mig_labels(live) == before


def test_without_kubernetes_there_is_nobody_to_tell(a_machine: AMachine) -> None:
    ended = call(a_machine, "label", stdin=document(TUTORIAL))
    assert (ended.status, ended.stderr) == (
        1,
        "mig-k8s: there is no Kubernetes on mlops-k8s-master: `sudo mig-k8s status` there tells why\n",
    )


def test_an_api_that_does_not_answer_is_named(live: LiveNode, manager: MigManager) -> None:
    assert manager.live is live
    live.api.change(away=True)
    ended = label(live, TUTORIAL)
    assert ended.status == 1
    assert ended.stderr.startswith("mig-k8s: kubectl get pods --all-namespaces: The connection to the server ")


# ---- both


def test_a_text_that_is_not_a_document_is_wrong_usage(a_machine: AMachine) -> None:
    for verb, name in (("free", "the layout"), ("label", "the layout for MIG Manager")):
        ended = call(a_machine, verb, stdin="{}")
        assert (ended.status, ended.stderr) == (2, f"mig-k8s: {name} has no version\n")


@pytest.mark.parametrize("verb", ["free", "label"])
def test_a_machine_that_wants_to_reboot_waits_for_its_followers(live: LiveNode, manager: MigManager, verb: str) -> None:
    manager.makes = "9:4,14:0,19:2"
    path, free_for_reboot = live.machine.path("/run/mig-k8s/followers"), []

    def try_to_reboot(_words: tuple[str, ...]) -> None:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free_for_reboot.append(True)
            except BlockingIOError:
                free_for_reboot.append(False)

    live.api.before("get nodes", try_to_reboot)
    assert call(live.machine, verb, stdin=layout(TUTORIAL) if verb == "free" else document(TUTORIAL)).status == 0
    assert set(free_for_reboot) == {False}
    try_to_reboot(())
    assert free_for_reboot[-1] is True
