"""mig-apply on a node that runs: GPU clients pause, pods keep what they hold."""

import json
from collections.abc import Callable

import pytest
from gpu_on_machine import Gpus, layout, layout_json
from kubernetes_on_machine import DAEMONS, Cluster, node, pod
from scripted_machine import FIRST_BOOT
from test_mig_apply import SEVEN, TUTORIAL, apply

FOUR_STAY = layout("3g.40gb:4", *(f"1g.10gb:{start}" for start in range(4)))
PAUSED = dict.fromkeys(DAEMONS, "paused-for-mig-change")
RUNNING = dict.fromkeys(DAEMONS, "true")


DCGM = "nvidia-dcgm.service"
# systemd with the units that are named in `active`; one in `stuck` does not stop.
SERVICES = r"""
    verb=$1
    shift
    for unit; do
      case $verb in
        is-active) if grep -qx "$unit" $STATE/active; then echo active; else echo inactive; fi ;;
        stop) ! grep -qsx "$unit" $STATE/stuck || { echo "Job for $unit timed out." >&2; exit 1; }
              sed -i "/^$unit\$/d" $STATE/active ;;
        start) echo "$unit" >>$STATE/active ;;
        *) exit 4 ;;
      esac
    done
"""


class LiveNode:
    """An A100 with seven devices, or undivided GPUs, on a node with the GPU Operator."""

    def __init__(self, gpus: Gpus, *, divided: bool = True) -> None:
        self.gpus = gpus
        self.machine = gpus.machine
        self.uuids = gpus.uuids
        if divided:
            gpus.enable()
            _, report, _ = apply(gpus, SEVEN)
            self.uuids = [instance["uuids"][0] for instance in report["gpus"][0]["instances"]]
        self.machine.program("systemctl", SERVICES)
        self.services("rke2-server.service")
        self.cluster = Cluster(self.machine)
        self.cluster.change(nodes=[node("mlops-k8s-master", FIRST_BOOT, {}, {**RUNNING, "other": "true"})])
        self.mark = self.machine.root / "var/lib/mig-k8s/paused"
        self.machine.calls_path().unlink(missing_ok=True)

    def services(self, *active: str) -> None:
        """The units that run, and no others."""
        (self.machine.state / "active").write_text("".join(f"{unit}\n" for unit in active), encoding="utf-8")

    def active(self) -> list[str]:
        return (self.machine.state / "active").read_text(encoding="utf-8").split()

    def work(self) -> list[str]:
        """The pods that are not the GPU Operator's."""
        pods = [item["metadata"] for item in self.cluster.objects()["pods"]]
        return sorted(pod["name"] for pod in pods if pod["namespace"] == "work")

    def impatient(self, bound: str) -> None:
        """A mig-apply whose bound is 0 s."""
        script = self.machine.root / "usr/local/sbin/mig-apply"
        text = script.read_text(encoding="utf-8")
        assert bound in text
        script.write_text(text.replace(bound, f"{bound.partition(' ')[0]} = 0"), encoding="utf-8")

    def kill_before_resume(self) -> None:
        """A run that changes the GPU and is killed before it starts the clients again."""
        kubectl = self.machine.root / "var/lib/rancher/rke2/bin/kubectl"
        real = kubectl.rename(kubectl.with_name("real-kubectl"))
        words = 'case "$*" in *device-plugin=true*) kill -9 $PPID; exit 1 ;; esac'
        self.machine.write("var/lib/rancher/rke2/bin/kubectl", f'#!/bin/bash\n{words}\nexec {real} "$@"\n', 0o755)
        assert apply(self.gpus, FOUR_STAY, own_process=True)[0] == -9
        assert self.gpus.places()[-1] == "9:4"
        real.rename(kubectl)

    def hold(self, *held: tuple[str, int], phase: str = "Running") -> None:
        """Pods, each with the device at a memory slice, as the kubelet's checkpoint has them."""
        pods = [pod(name, "mlops-k8s-master", f"uid-{name}", phase) for name, _ in held]
        self.cluster.change(pods=pods)
        entries = [
            {
                "PodUID": f"uid-{name}",
                "ContainerName": "main",
                "ResourceName": "nvidia.com/gpu",
                "DeviceIDs": {"-1": [self.uuids[slice_]]},
            }
            for name, slice_ in held
        ]
        checkpoint = {"Data": {"PodDeviceEntries": entries, "RegisteredDevices": {}}, "Checksum": 1}
        self.machine.write("var/lib/kubelet/device-plugins/kubelet_internal_checkpoint", json.dumps(checkpoint))


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    return LiveNode(gpus("A100-80GB"))


def test_gpu_clients_are_paused_for_the_change_and_run_again_afterwards(live: LiveNode) -> None:
    code, _, ended = apply(live.gpus, FOUR_STAY)
    assert code == 0, ended.stderr
    labels = live.machine.calls("kubectl label")
    assert [call.count("=paused-for-mig-change") for call in labels] == [3, 0]
    assert live.cluster.labels() == {**RUNNING, "other": "true"}
    apps = {item["metadata"]["labels"]["app"] for item in live.cluster.objects()["pods"]}
    assert apps == set(DAEMONS.values())


def test_nothing_is_paused_when_nothing_changes(live: LiveNode) -> None:
    assert apply(live.gpus, SEVEN)[0] == 0
    assert live.machine.calls("kubectl") == []


def test_pods_on_devices_that_stay_are_not_asked(live: LiveNode) -> None:
    live.hold(("training", 0), ("notebook", 3))
    before = [instance for instance in live.gpus.state() if instance["start"] < 4]
    assert apply(live.gpus, FOUR_STAY)[0] == 0
    assert [instance for instance in live.gpus.state() if instance["start"] < 4] == before
    assert live.work() == ["notebook", "training"]


def test_a_change_that_takes_a_device_from_a_pod_is_refused_and_names_it(live: LiveNode) -> None:
    live.hold(("training", 0), ("notebook", 5))
    before = live.gpus.state()
    code, report, ended = apply(live.gpus, FOUR_STAY)
    assert code == 1
    assert report["gpus"][0]["outcome"] == "refused"
    assert "pods hold devices that must go: work/notebook (1g.10gb at 5)." in ended.stderr
    assert "training" not in ended.stderr
    assert live.gpus.state() == before
    assert live.machine.calls("kubectl label") == []


def test_pods_that_have_ended_hold_nothing(live: LiveNode) -> None:
    live.hold(("notebook", 5), phase="Succeeded")
    assert apply(live.gpus, FOUR_STAY)[0] == 0


@pytest.mark.parametrize("how", ["option", "layout"])
def test_draining_evicts_exactly_the_pods_in_the_way(live: LiveNode, how: str) -> None:
    live.hold(("training", 0), ("notebook", 5))
    text = layout_json(FOUR_STAY)
    options: tuple[str, ...] = ("--drain",)
    if how == "layout":
        text, options = json.dumps({**json.loads(text), "onChange": "drain"}), ()
    ended = live.machine.call("mig-apply", "--layout", "-", *options, stdin=text)
    assert ended.returncode == 0, ended.stderr
    assert "evicts pod work/notebook, which holds a device that must go" in ended.stderr
    assert live.work() == ["training"]
    assert live.gpus.places()[-1] == "9:4"


def test_a_disruption_budget_is_respected_and_named_and_nothing_is_touched(live: LiveNode) -> None:
    live.hold(("aside", 4), ("notebook", 5))
    live.cluster.change(budgets={"notebook": "one-notebook"})
    before = live.gpus.state()
    code, report, ended = apply(live.gpus, FOUR_STAY, options=("--drain",))
    assert code == 1
    assert report["gpus"][0]["outcome"] == "refused"
    assert (
        "pods may not be evicted: work/notebook: The disruption budget one-notebook needs 1 healthy pods and has 1 "
        "currently. Give the budget room, or delete the pods yourself"
    ) in ended.stderr
    assert live.gpus.state() == before
    assert live.work() == ["aside", "notebook"]
    assert live.machine.calls("kubectl label") == []


@pytest.mark.parametrize(("refusals", "code"), [(1, 0), (9, 1)])
def test_a_budget_that_was_used_up_meanwhile_is_waited_for_within_a_bound(
    live: LiveNode, refusals: int, code: int
) -> None:
    """Only the eviction itself is refused, some times; the question before it was not."""
    live.hold(("notebook", 5))
    if code:
        live.impatient("BUDGET_SECONDS = 120")
    before = live.gpus.state()
    kubectl = live.machine.root / "var/lib/rancher/rke2/bin/kubectl"
    real = kubectl.rename(kubectl.with_name("real-kubectl"))
    refuses = (
        'case "$*" in *eviction*) echo x >>$STATE/asked; asked=$(wc -l <$STATE/asked)\n'
        f"  if [ $asked -gt 1 ] && [ $asked -le {1 + refusals} ]; then\n"
        "    echo 'Error from server (TooManyRequests): Cannot evict pod' >&2; exit 1\n"
        "  fi ;;\nesac\n"
    )
    live.machine.write("var/lib/rancher/rke2/bin/kubectl", f'#!/bin/bash\n{refuses}exec {real} "$@"\n', 0o755)
    ended = live.machine.call("mig-apply", "--layout", "-", "--drain", stdin=layout_json(FOUR_STAY))
    assert ended.returncode == code, ended.stderr
    assert (live.gpus.state() == before) == bool(code)
    assert ("pods may not be evicted: work/notebook: its disruption budget forbids it" in ended.stderr) == bool(code)
    assert live.cluster.labels() == {**RUNNING, "other": "true"}


def test_a_pod_that_ends_at_once_is_given_a_second_so_that_its_end_is_seen(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    (item,) = live.cluster.objects()["pods"]
    live.cluster.change(pods=[{**item, "spec": {**item["spec"], "terminationGracePeriodSeconds": 0}}])
    assert apply(live.gpus, FOUR_STAY, options=("--drain",))[0] == 0  # the API server of these tests demands it


def test_a_pod_that_its_owner_makes_again_under_its_name_is_not_waited_for(live: LiveNode) -> None:
    live.impatient("PAUSE_SECONDS = 300")
    live.hold(("stateful-0", 5))
    live.cluster.change(owned=["stateful-0"])
    code, _, ended = apply(live.gpus, FOUR_STAY, options=("--drain",))
    assert code == 0, ended.stderr


# ---- services of the machine


def test_services_that_hold_gpus_are_stopped_for_the_change_and_run_again_afterwards(live: LiveNode) -> None:
    live.services("rke2-server.service", DCGM)
    assert apply(live.gpus, FOUR_STAY)[0] == 0
    assert live.machine.calls("systemctl st") == [f"systemctl stop {DCGM}", f"systemctl start {DCGM}"]
    assert live.active() == ["rke2-server.service", DCGM]


def test_services_that_do_not_run_are_not_started(live: LiveNode) -> None:
    assert apply(live.gpus, FOUR_STAY)[0] == 0
    assert live.machine.calls("systemctl st") == []


def test_a_failed_change_starts_the_services_again_too(live: LiveNode) -> None:
    live.services("rke2-server.service", DCGM)
    live.gpus.faults(cgi_fails_at=1)
    assert apply(live.gpus, TUTORIAL)[0] == 1
    assert DCGM in live.active()


def test_a_service_that_does_not_stop_is_named_and_the_gpu_is_left_alone(live: LiveNode) -> None:
    live.services("rke2-server.service", DCGM)
    (live.machine.state / "stuck").write_text(f"{DCGM}\n", encoding="utf-8")
    before = live.gpus.state()
    code, report, _ = apply(live.gpus, TUTORIAL)
    assert code == 1
    assert report["gpus"][0]["reason"] == f"{DCGM} cannot be stopped: Job for {DCGM} timed out."
    assert live.gpus.state() == before


def test_services_that_a_killed_run_left_stopped_run_again_after_the_next(live: LiveNode) -> None:
    live.services("rke2-server.service", DCGM)
    live.kill_before_resume()
    live.services("rke2-server.service")  # it was killed before it came to them
    assert live.machine.run("mig-apply", "--resume").returncode == 0
    assert DCGM in live.active()
    assert not live.mark.exists()


def test_services_are_freed_from_a_gpu_without_kubernetes_too(live: LiveNode) -> None:
    live.services(DCGM)
    assert apply(live.gpus, FOUR_STAY)[0] == 0
    assert live.machine.calls("systemctl st") == [f"systemctl stop {DCGM}", f"systemctl start {DCGM}"]
    assert live.machine.calls("kubectl") == []


# ---- MIG mode


def whole_gpu(live: LiveNode, *names: str) -> None:
    """Pods that hold whole GPUs: the first pod GPU 0, the second GPU 1."""
    live.uuids = live.gpus.uuids
    live.hold(*((name, index) for index, name in enumerate(names)))


@pytest.fixture
def undivided(gpus: Callable[..., Gpus]) -> Callable[..., LiveNode]:
    """A node that runs with whole GPUs."""

    def make(*models: str) -> LiveNode:
        live = LiveNode(gpus(*models), divided=False)
        assert live.gpus.mode() == ["Disabled, Disabled"] * len(models)
        return live

    return make


@pytest.mark.parametrize("model", ["A100-80GB", "H100-80GB"])
def test_mig_mode_is_not_turned_on_under_a_pod_that_uses_the_whole_gpu(
    undivided: Callable[..., LiveNode], model: str
) -> None:
    live = undivided(model)
    whole_gpu(live, "training")
    ended = live.machine.call("mig-apply", "--modes", "1")
    assert ended.returncode == 1
    assert ended.stdout == (
        "failed GPU 0: pods hold devices that must go: work/training (GPU 0). "
        "Delete them, or set mig.onChange to drain\n"
    )
    assert live.gpus.mode() == ["Disabled, Disabled"]
    assert live.work() == ["training"]


def test_mig_mode_is_turned_on_once_the_pod_has_been_evicted(undivided: Callable[..., LiveNode]) -> None:
    live = undivided("H100-80GB")
    whole_gpu(live, "training")
    ended = live.machine.call("mig-apply", "--modes", "1", "--drain")
    assert (ended.returncode, ended.stdout) == (0, "done GPU 0 Enabled\n")
    assert "evicts pod work/training" in ended.stderr
    assert live.gpus.mode() == ["Enabled, Enabled"]


def test_a_mode_that_needs_a_reboot_is_taken_back_when_a_pod_on_another_gpu_would_die(
    undivided: Callable[..., LiveNode],
) -> None:
    live = undivided("A100-80GB", "A100-80GB")
    whole_gpu(live, "ended", "training")
    live.cluster.change(pods=[item for item in live.cluster.objects()["pods"] if item["metadata"]["name"] != "ended"])
    ended = live.machine.call("mig-apply", "--modes", "1 0")
    assert ended.returncode == 1
    assert "failed GPU 0: pods hold devices that must go: work/training (the machine must reboot)." in ended.stdout
    assert live.gpus.mode() == ["Disabled, Disabled"] * 2


def test_a_reboot_for_a_mode_evicts_the_pods_of_all_gpus_if_it_may(undivided: Callable[..., LiveNode]) -> None:
    live = undivided("A100-80GB", "A100-80GB")
    whole_gpu(live, "first", "second")
    ended = live.machine.call("mig-apply", "--modes", "1 0", "--drain")
    assert (ended.returncode, ended.stdout) == (0, "reboot MIG mode of GPU 0 changes only with a reboot\n")
    assert live.gpus.mode() == ["Disabled, Enabled", "Disabled, Disabled"]
    assert live.work() == []


def test_mig_mode_is_not_turned_off_under_a_pod_on_an_instance(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    before = live.gpus.state()
    ended = live.machine.call("mig-apply", "--modes", "0")
    assert ended.returncode == 1
    assert "work/notebook (1g.10gb at 5)" in ended.stdout
    assert (live.gpus.state(), live.gpus.mode()) == (before, ["Enabled, Enabled"])


def test_a_mode_that_is_right_asks_neither_pods_nor_services(live: LiveNode) -> None:
    live.hold(("notebook", 5))
    live.gpus.faults(hang="-lgip")
    ended = live.machine.call("mig-apply", "--modes", "1")
    assert (ended.returncode, ended.stdout) == (0, "unchanged GPU 0 Enabled\n")
    assert live.machine.calls("kubectl") == live.machine.calls("systemctl") == []
    assert len(live.gpus.state()) == 7


def test_a_failed_change_leaves_no_client_paused(live: LiveNode) -> None:
    live.gpus.faults(cgi_fails_at=1)
    before = live.gpus.places()
    assert apply(live.gpus, TUTORIAL)[0] == 1
    assert live.gpus.places() == before
    assert live.cluster.labels() == {**RUNNING, "other": "true"}


def test_clients_that_a_killed_run_left_paused_run_again_after_the_next_change(live: LiveNode) -> None:
    live.cluster.change(nodes=[node("mlops-k8s-master", FIRST_BOOT, {}, dict(PAUSED))])
    assert apply(live.gpus, TUTORIAL)[0] == 0
    assert live.cluster.labels() == RUNNING
    assert not live.mark.exists()


def test_clients_that_a_killed_run_left_paused_can_be_started_alone(live: LiveNode) -> None:
    live.kill_before_resume()
    assert set(live.cluster.labels().values()) == {"true", "paused-for-mig-change"}
    assert live.machine.run("mig-apply", "--resume").returncode == 0
    assert live.cluster.labels() == {**RUNNING, "other": "true"}
    assert not live.mark.exists()


def test_clients_that_a_killed_run_left_paused_run_again_even_if_nothing_changes(live: LiveNode) -> None:
    live.kill_before_resume()
    code, report, _ = apply(live.gpus, FOUR_STAY)
    assert (code, report["changed"]) == (0, False)
    assert live.cluster.labels() == {**RUNNING, "other": "true"}


def test_a_client_that_does_not_end_is_named_and_nothing_is_touched(live: LiveNode) -> None:
    live.impatient("PAUSE_SECONDS = 300")
    live.cluster.change(daemons_stay=True)
    before = live.gpus.state()
    code, _, ended = apply(live.gpus, TUTORIAL)
    assert code == 1
    assert "paused GPU clients still there after 0 s: nvidia-device-plugin-daemonset-mlops-k8s-master" in ended.stderr
    assert live.gpus.state() == before
    assert live.cluster.labels() == {**RUNNING, "other": "true"}


def test_without_an_answer_of_the_api_nothing_is_touched(live: LiveNode) -> None:
    live.impatient("API_SECONDS = 60")
    (live.machine.state / "api-is-down").touch()
    before = live.gpus.state()
    code, report, _ = apply(live.gpus, TUTORIAL)
    assert code == 1
    assert "The connection to the server 127.0.0.1:6443 was refused" in report["gpus"][0]["reason"]
    assert live.gpus.state() == before


def test_a_node_that_has_not_registered_yet_has_no_clients_to_pause(live: LiveNode) -> None:
    live.cluster.change(nodes=[])
    assert apply(live.gpus, TUTORIAL)[0] == 0


def test_an_agent_uses_the_kubelets_own_rights(live: LiveNode) -> None:
    (live.machine.root / "etc/rancher/rke2/rke2.yaml").unlink()
    kubelet = live.machine.write("var/lib/rancher/rke2/agent/kubelet.kubeconfig", "apiVersion: v1\n", 0o600)
    assert apply(live.gpus, TUTORIAL)[0] == 0
    assert kubelet.exists()
    assert live.cluster.labels() == {**RUNNING, "other": "true"}
