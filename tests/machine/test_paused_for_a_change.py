"""What holds GPUs without a pod of a user's: GPU clients of the GPU Operator and services of the machine."""

from collections.abc import Callable

import pytest
from a_live_node import PAUSED, RUNNING, LiveNode
from a_machine import FIRST_BOOT, NAME
from calls import call, call_process
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, layout
from kubernetes_api import DAEMONS
from kubernetes_objects import node

DCGM = "nvidia-dcgm.service"
SERVER = "rke2-server.service"


@pytest.fixture
def live(gpus: Callable[..., Gpus]) -> LiveNode:
    return LiveNode(gpus("A100-80GB"))


def kill_before_start(live: LiveNode) -> None:
    """A run that changes the GPU and is killed before it starts the clients again."""
    fate = {"matching": "kubectl .*device-plugin=true", "at": 1, "when": "before", "what": "SIGKILL"}
    assert call_process(live.machine, "apply", stdin=layout(FOUR_STAY), fate=fate).status == -9
    assert live.gpus.places()[-1] == "9:4"
    assert set(live.api.labels().values()) == {"true", "paused-for-mig-change"}


# ---- GPU clients


def test_gpu_clients_are_paused_for_the_change_and_run_again_afterwards(live: LiveNode) -> None:
    ended = live.apply(FOUR_STAY)
    assert ended.status == 0, ended.stderr
    labels = live.api.calls("kubectl label")
    assert [call.count("=paused-for-mig-change") for call in labels] == [3, 0]
    assert live.api.labels() == {**RUNNING, "other": "true"}
    apps = {item["metadata"]["labels"]["app"] for item in live.api.listed("pods")}
    assert apps == set(DAEMONS.values())
    assert not live.mark.exists()


def test_the_gpu_is_not_touched_before_its_clients_have_ended(live: LiveNode) -> None:
    """The API server tells a pod as Terminating for a while."""
    real = (live.machine.programs / "nvidia-smi").readlink()
    calls = live.machine.folder / "state/api/calls"
    live.machine.program("nvidia-smi", f'echo "nvidia-smi $*" >>{calls}\nexec -a nvidia-smi {real} "$@"')
    assert live.apply(FOUR_STAY).status == 0
    lines = live.api.calls()
    change = next(number for number, line in enumerate(lines) if "-dci" in line)
    before = [line for line in lines[:change] if line.startswith("kubectl")]
    assert before[-1].startswith("kubectl get pods")
    assert len([line for line in before if line.startswith("kubectl get pods")]) == 3, "holders, Terminating, gone"


def test_nothing_is_paused_when_nothing_changes(live: LiveNode) -> None:
    assert live.apply(SEVEN).status == 0
    assert live.api.calls() == []
    assert live.machine.systemd.calls() == []


def test_a_client_that_does_not_end_is_named_and_nothing_is_touched(live: LiveNode) -> None:
    live.api.change(stuck=[f"nvidia-device-plugin-daemonset-{NAME}"])
    before, started = live.gpus.state(), live.machine.clock.now
    ended = live.apply(TUTORIAL)
    assert ended.status == 1
    assert f"paused GPU clients are still there after 300 s: nvidia-device-plugin-daemonset-{NAME}" in ended.stderr
    assert 300 <= live.machine.clock.now - started < 310
    assert live.gpus.state() == before
    assert live.api.labels() == {**RUNNING, "other": "true"}


def test_a_failed_change_leaves_no_client_paused(live: LiveNode) -> None:
    live.gpus.faults(cgi_fails_at=1)
    before = live.gpus.places()
    assert live.apply(TUTORIAL).status == 1
    assert live.gpus.places() == before
    assert live.api.labels() == {**RUNNING, "other": "true"}


def test_a_client_that_somebody_switched_off_is_not_switched_on(live: LiveNode) -> None:
    off = {**RUNNING, "nvidia.com/gpu.deploy.dcgm-exporter": "false"}
    live.api.change(nodes=[node(NAME, FIRST_BOOT, {}, dict(off))])
    assert live.apply(FOUR_STAY).status == 0
    assert live.api.labels() == off


def test_clients_that_cannot_be_started_again_are_told_and_the_next_run_does_it(live: LiveNode) -> None:
    live.api.before("=true$", lambda _: live.api.change(away=True))
    ended = live.apply(FOUR_STAY)
    assert ended.status == 1
    assert "GPU clients are still paused, run this again: kubectl label node" in ended.report.gpus[0].reason
    assert live.gpus.places()[-1] == "9:4"
    live.api.hooks.clear()
    live.api.change(away=False)
    assert live.apply(FOUR_STAY).status == 0
    assert live.api.labels() == {**RUNNING, "other": "true"}


# ---- what a killed run left paused


def test_clients_that_a_killed_run_left_paused_run_again_after_the_next_change(live: LiveNode) -> None:
    live.api.change(nodes=[node(NAME, FIRST_BOOT, {}, dict(PAUSED))])
    assert live.apply(TUTORIAL).status == 0
    assert live.api.labels() == RUNNING
    assert not live.mark.exists()


def test_clients_that_a_killed_run_paused_and_that_still_end_are_waited_for(live: LiveNode) -> None:
    live.apply(FOUR_STAY)
    live.api.change(nodes=[node(NAME, FIRST_BOOT, {}, dict(PAUSED))], stuck=[f"gpu-feature-discovery-{NAME}"])
    before = live.gpus.state()
    ended = live.apply(TUTORIAL)
    assert (ended.status, live.gpus.state()) == (1, before)
    assert f"gpu-feature-discovery-{NAME}" in ended.stderr


def test_clients_that_a_killed_run_left_paused_can_be_started_by_themselves(live: LiveNode) -> None:
    kill_before_start(live)
    assert call(live.machine, "start-clients").status == 0
    assert live.api.labels() == {**RUNNING, "other": "true"}
    assert not live.mark.exists()


def test_clients_that_a_killed_run_left_paused_run_again_even_if_nothing_changes(live: LiveNode) -> None:
    kill_before_start(live)
    ended = live.apply(FOUR_STAY)
    assert (ended.status, ended.report.changed) == (0, False)
    assert live.api.labels() == {**RUNNING, "other": "true"}


def test_what_is_paused_stays_noted_where_kubernetes_does_not_run_yet(live: LiveNode) -> None:
    kill_before_start(live)
    live.machine.systemd.set(active=[])
    assert call(live.machine, "start-clients").status == 0
    assert live.mark.read_text(encoding="utf-8") == "kubernetes"
    live.machine.systemd.set(active=[SERVER])
    assert call(live.machine, "start-clients").status == 0
    assert live.api.labels() == {**RUNNING, "other": "true"}
    assert not live.mark.exists()


def test_what_a_killed_program_of_an_older_release_left_paused_is_started(live: LiveNode) -> None:
    live.api.change(nodes=[node(NAME, FIRST_BOOT, {}, dict(PAUSED))])
    live.machine.write("var/lib/mig-k8s/paused", f"kubernetes\n{DCGM}")
    assert call(live.machine, "start-clients").status == 0
    assert live.api.labels() == RUNNING
    assert DCGM in live.machine.systemd.active


# ---- services of the machine


def test_services_that_hold_gpus_are_stopped_for_the_change_and_run_again_afterwards(live: LiveNode) -> None:
    live.machine.systemd.set(active=[SERVER, DCGM])
    assert live.apply(FOUR_STAY).status == 0
    assert live.machine.systemd.calls("systemctl st") == [f"systemctl stop {DCGM}", f"systemctl start {DCGM}"]
    assert live.machine.systemd.active == [SERVER, DCGM]


def test_services_that_do_not_run_are_not_started(live: LiveNode) -> None:
    assert live.apply(FOUR_STAY).status == 0
    assert live.machine.systemd.calls("systemctl st") == []


def test_a_failed_change_starts_the_services_again_too(live: LiveNode) -> None:
    live.machine.systemd.set(active=[SERVER, DCGM])
    live.gpus.faults(cgi_fails_at=1)
    assert live.apply(TUTORIAL).status == 1
    assert DCGM in live.machine.systemd.active


def test_a_service_that_does_not_stop_is_named_and_the_gpu_is_not_touched(live: LiveNode) -> None:
    live.machine.systemd.set(active=[SERVER, DCGM], stuck=[DCGM])
    before = live.gpus.state()
    ended = live.apply(TUTORIAL)
    assert ended.status == 1
    assert ended.report.gpus[0].reason == f"{DCGM} cannot be stopped: Job for {DCGM} timed out."
    assert live.gpus.state() == before


def test_a_service_that_does_not_start_again_is_told(live: LiveNode) -> None:
    live.machine.systemd.set(active=[SERVER, DCGM], broken=[DCGM])
    ended = live.apply(FOUR_STAY)
    assert ended.status == 0
    assert f"{DCGM} cannot be started again: Job for {DCGM} timed out." in ended.stderr
    assert live.api.labels() == {**RUNNING, "other": "true"}


def test_services_that_a_killed_run_left_stopped_run_again_after_the_next(live: LiveNode) -> None:
    live.machine.systemd.set(active=[SERVER, DCGM])
    fate = {"matching": "nvidia-smi .*-cgi", "at": 1, "when": "after", "what": "SIGKILL"}
    assert call_process(live.machine, "apply", stdin=layout(FOUR_STAY), fate=fate).status == -9
    assert live.machine.systemd.active == [SERVER]
    assert call(live.machine, "start-clients").status == 0
    assert live.machine.systemd.active == [SERVER, DCGM]
    assert not live.mark.exists()


def test_services_are_stopped_without_kubernetes_too(live: LiveNode) -> None:
    live.machine.systemd.set(active=[DCGM])
    assert live.apply(FOUR_STAY).status == 0
    assert live.machine.systemd.calls("systemctl st") == [f"systemctl stop {DCGM}", f"systemctl start {DCGM}"]
    assert live.api.calls() == []
