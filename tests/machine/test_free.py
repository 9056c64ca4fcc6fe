"""What a machine does before anything of it changes, where MIG Manager makes the instances: `free`."""

from collections.abc import Callable

import pytest
from a_live_node import RUNNING, LiveNode
from a_machine import FIRST_BOOT, NAME, AMachine
from a_mig_manager import CONFIG, STATE, mig_labels, owned_node
from calls import Called, call
from gpus import SEVEN, TUTORIAL, Gpus, gpu_layout, layout
from kubernetes_objects import node

from machine.documents.layout import GpuLayout, Layout, OnChange
from machine.host.program import Ended

FORCED_OFF = gpu_layout(mode=False)


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    return owned_node(gpus("A100-80GB"))


def free(live: LiveNode, *gpus: GpuLayout, on_change: OnChange = "refuse") -> Called:
    return call(live.machine, "free", stdin=Layout(gpus, on_change).to_json())


def test_gpus_that_get_another_layout_are_freed_and_mig_manager_changes_nothing_until_it_is_told(
    live: LiveNode,
) -> None:
    ended = free(live, TUTORIAL)
    assert (ended.status, ended.stdout) == (0, ""), ended.stderr
    assert live.gpus.places() == []
    assert live.gpus.mode() == ["Enabled, Enabled"]
    assert mig_labels(live) == {}
    assert ended.stderr.startswith("freeing GPU 0 for its new layout\n")
    assert "MIG Manager changes nothing on mlops-k8s-master until it is told of the new layout" in ended.stderr


def test_pods_on_what_must_go_are_a_refusal_and_everything_is_as_it_was(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    before = live.gpus.state()
    ended = free(live, TUTORIAL)
    assert (ended.status, live.gpus.state()) == (1, before)
    assert "pods hold devices that must go: work/notebook (1g.10gb at 5)." in ended.stderr
    assert ended.stderr.endswith(
        "mig-k8s: mlops-k8s-master keeps its layout, because its GPUs could not be freed: see above\n"
    )
    assert mig_labels(live) == {CONFIG: "old", STATE: "success"}


def test_pods_are_evicted_where_the_layout_says_so(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    assert free(live, TUTORIAL, on_change="drain").status == 0
    assert live.work() == []
    assert live.gpus.places() == []


def test_on_another_machine_nothing_is_freed(live: LiveNode) -> None:
    before = live.gpus.state()
    ended = call(live.machine, "free", "--node", "gpu-1", stdin=Layout((TUTORIAL,), "refuse").to_json())
    assert (ended.status, live.gpus.state()) == (2, before)
    assert "this machine is mlops-k8s-master, and what came is for gpu-1: nothing was changed" in ended.stderr
    assert mig_labels(live) == {CONFIG: "old", STATE: "success"}


def test_gpus_that_keep_their_profiles_are_not_touched_wherever_they_lie(live: LiveNode) -> None:
    before = live.gpus.state()
    shuffled = gpu_layout(*(f"1g.10gb:{start}" for start in reversed(range(7))))
    ended = free(live, shuffled)
    assert (ended.status, ended.stderr) == (0, "")
    assert live.gpus.state() == before
    assert mig_labels(live) == {CONFIG: "old", STATE: "success"}
    assert live.api.calls() == []


def test_of_several_gpus_only_those_with_another_layout_are_freed(gpus: Callable[..., Gpus]) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    second = GpuLayout(1, mode=True, instances=SEVEN.instances)
    call(two.machine, "apply", stdin=layout(TUTORIAL, second))
    assert call(two.machine, "free", stdin=layout(SEVEN, second)).status == 0
    assert (two.places(0), two.places(1)) == ([], [f"19:{start}" for start in range(7)])


@pytest.mark.parametrize("how", ["on", "off", "pending"])
def test_a_mode_that_changes_is_left_to_the_machine_but_mig_manager_changes_nothing(live: LiveNode, how: str) -> None:
    """Or it would set the old mode again, right after the machine's reboot."""
    if how != "off":
        live.gpus.smi("mig", "-dci")
        live.gpus.smi("mig", "-dgi")
        live.gpus.smi("-mig", "0")
    if how == "on":
        live.gpus.reboot()
    before, mode = live.gpus.state(), live.gpus.mode()
    expected = {"on": "Disabled, Disabled", "off": "Enabled, Enabled", "pending": "Enabled, Disabled"}
    assert mode == [expected[how]]
    assert free(live, FORCED_OFF if how == "off" else TUTORIAL).status == 0
    assert (live.gpus.state(), live.gpus.mode()) == (before, mode)
    assert mig_labels(live) == {}


def test_a_machine_that_is_just_being_made_has_nothing_to_free(a_machine: AMachine) -> None:
    """No driver, no Kubernetes."""
    ended = call(a_machine, "free", stdin=layout(TUTORIAL))
    assert (ended.status, ended.stderr) == (0, "")
    a_machine.program("nvidia-smi", "echo NVIDIA-SMI has failed because it could not talk to the driver.; exit 9")
    ended = call(a_machine, "free", stdin=layout(TUTORIAL))
    assert (ended.status, ended.stderr) == (0, "")
    assert a_machine.api.calls() == []


def test_a_gpu_that_hangs_is_told_and_not_taken_for_a_free_one(live: LiveNode) -> None:
    live.machine.answers["nvidia-smi"] = lambda command, _: Ended(command, 124, "", "")
    ended = free(live, TUTORIAL)
    assert (ended.status, mig_labels(live)) == (1, {CONFIG: "old", STATE: "success"})
    assert "`nvidia-smi -L` did not answer within 120 s" in ended.stderr


def test_the_hosts_instances_are_freed_too_when_the_owner_changes(live: LiveNode) -> None:
    live.api.change(nodes=[node(NAME, FIRST_BOOT, {}, dict(RUNNING))])
    assert free(live, TUTORIAL).status == 0
    assert live.gpus.places() == []
    assert not any("mig.config" in line for line in live.api.calls("kubectl label"))


def test_an_agent_frees_its_gpus_with_the_kubelets_own_rights(gpus: Callable[..., Gpus]) -> None:
    agent = LiveNode(gpus("A100-80GB"), role="agent")
    agent.api.label(**{CONFIG: "old", STATE: "success"})
    ended = free(agent, TUTORIAL)
    assert ended.status == 0, ended.stderr
    assert mig_labels(agent) == {}
