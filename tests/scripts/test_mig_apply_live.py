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


class LiveNode:
    """An A100 with seven devices on a node with the GPU Operator."""

    def __init__(self, gpus: Gpus) -> None:
        self.gpus = gpus
        self.machine = gpus.machine
        gpus.enable()
        _, report, _ = apply(gpus, SEVEN)
        self.uuids = [instance["uuids"][0] for instance in report["gpus"][0]["instances"]]
        self.machine.program("systemctl", 'case "$1" in is-active) echo active; echo inactive ;; *) exit 4 ;; esac')
        self.cluster = Cluster(self.machine)
        self.cluster.change(nodes=[node("mlops-k8s-master", FIRST_BOOT, {}, {**RUNNING, "other": "true"})])
        self.mark = self.machine.root / "var/lib/mig-k8s/paused"
        self.machine.calls_path().unlink()

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
    assert {"training", "notebook"} <= {item["metadata"]["name"] for item in live.cluster.objects()["pods"]}


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
def test_draining_deletes_exactly_the_pods_in_the_way(live: LiveNode, how: str) -> None:
    live.hold(("training", 0), ("notebook", 5))
    text = layout_json(FOUR_STAY)
    options: tuple[str, ...] = ("--drain",)
    if how == "layout":
        text, options = json.dumps({**json.loads(text), "onChange": "drain"}), ()
    assert live.machine.call("mig-apply", "--layout", "-", *options, stdin=text).returncode == 0
    names = {item["metadata"]["name"] for item in live.cluster.objects()["pods"]}
    assert "training" in names
    assert "notebook" not in names
    assert live.gpus.places()[-1] == "9:4"


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
