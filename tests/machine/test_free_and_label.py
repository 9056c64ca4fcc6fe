"""What a machine does before and after a change where MIG Manager makes the instances: `free` and `label`."""

import fcntl
import functools
from collections.abc import Callable

import pytest
from a_live_node import RUNNING, LiveNode
from a_machine import FIRST_BOOT, NAME, AMachine
from calls import Called, call
from gpus import SEVEN, TUTORIAL, Gpus, gpu_layout, layout
from kubernetes_api import node, pod

from machine.documents.layout import GpuLayout, Layout, OnChange
from machine.documents.mig_manager_layout import MigManagerLayout
from machine.gpu.comparison import compared
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.program import Ended

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
MANAGER = f"nvidia-mig-manager-{NAME}"
FORCED_OFF = gpu_layout(mode=False)


def document(*gpus: GpuLayout, on_change: OnChange = "refuse", seconds: int = 60) -> str:
    wanted = Layout(gpus, on_change)
    return MigManagerLayout("new", "map", "nvidia", seconds, NAME, wanted).to_json()


class MigManager:
    """MIG Manager on the live node: it sees a changed label, says what it does, and makes the instances by then."""

    def __init__(self, live: LiveNode) -> None:
        self.live, self.states, self.makes = live, ["pending", "success"], ""
        self.config = live.api.labels().get(CONFIG)
        self.runs("map")
        live.api.before("get nodes|label node", self.work)

    def runs(self, *config_maps: str) -> None:
        """The pods of MIG Manager, each with a configuration."""
        others = [item for item in self.live.api.listed("pods") if "mig-manager" not in item["metadata"]["name"]]
        mine = []
        for number, config_map in enumerate(config_maps):
            made = pod(f"{MANAGER}-{number}", NAME, f"uid-{number}", labels={"app": "nvidia-mig-manager"})
            made["spec"]["volumes"] = [{"name": "host"}, {"configMap": {"name": config_map}}]
            mine.append({**made, "metadata": {**made["metadata"], "namespace": "nvidia"}})
        self.live.api.change(pods=[*others, *mine])

    def work(self, _words: tuple[str, ...]) -> None:
        config = self.live.api.labels().get(CONFIG)
        if config is None:
            self.config = None
        if config == self.config:
            return
        if not self.states:
            self.config = config
            return
        state = self.states.pop(0)
        if state == "success" and self.makes:
            self.live.gpus.smi("mig", "-dci")
            self.live.gpus.smi("mig", "-dgi")
            self.live.gpus.smi("mig", "-cgi", self.makes, "-C")
        self.live.api.label(**{STATE: state})


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    """Seven devices that MIG Manager made."""
    made = LiveNode(gpus("A100-80GB"))
    made.machine.path("/etc/mig-k8s/layout.json").unlink()
    labels = {**RUNNING, CONFIG: "old", STATE: "success"}
    made.api.change(nodes=[node(NAME, FIRST_BOOT, {}, labels)])
    made.api.forget_calls()
    return made


@pytest.fixture
def manager(live: LiveNode) -> MigManager:
    return MigManager(live)


def free(live: LiveNode, *gpus: GpuLayout, on_change: OnChange = "refuse") -> Called:
    return call(live.machine, "free", stdin=document(*gpus, on_change=on_change))


def label(live: LiveNode, *gpus: GpuLayout) -> Called:
    return call(live.machine, "label", stdin=document(*gpus))


def mig_labels(live: LiveNode) -> dict[str, str]:
    return {key: value for key, value in live.api.labels().items() if key in (CONFIG, STATE)}


def freeze_gpu(live: LiveNode) -> None:
    """From now on nothing changes on the GPU, and nvidia-smi is run once for each question."""
    said = functools.cache(super(AMachine, live.machine).run)
    live.machine.answers["nvidia-smi"] = lambda command, _: said(*command)


# ---- free


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
    assert call(two.machine, "free", stdin=document(SEVEN, second)).status == 0
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
    ended = call(a_machine, "free", stdin=document(TUTORIAL))
    assert (ended.status, ended.stderr) == (0, "")
    a_machine.program("nvidia-smi", "echo NVIDIA-SMI has failed because it could not talk to the driver.; exit 9")
    ended = call(a_machine, "free", stdin=document(TUTORIAL))
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


# ---- label


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
        said = {True: listed, False: f"0, {live.gpus.uuids[0]}, {mode}"}
        live.machine.answers["nvidia-smi"] = lambda command, _, said=said: Ended(
            command, 0, said[command[1] == "-L"], ""
        )
        assert not compared(NvidiaSmi(live.machine), Layout((SEVEN,))).is_right


def test_a_gpu_that_does_not_answer_is_neither_right_nor_to_be_emptied(live: LiveNode) -> None:
    live.gpus.faults(off_the_bus=[0])
    seen = compared(NvidiaSmi(live.machine), Layout((SEVEN,)))
    assert (seen.is_right, seen.to_be_emptied, seen.with_another_mode) == (False, [], [])


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


def test_a_text_that_is_no_document_is_wrong_usage(a_machine: AMachine) -> None:
    for verb in ("free", "label"):
        ended = call(a_machine, verb, stdin="{}")
        assert (ended.status, ended.stderr) == (2, "mig-k8s: the layout for MIG Manager has no version\n")


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
    assert call(live.machine, verb, stdin=document(TUTORIAL)).status == 0
    assert set(free_for_reboot) == {False}
    try_to_reboot(())
    assert free_for_reboot[-1] is True
