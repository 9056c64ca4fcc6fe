"""`modes`, what the mig-mode stage runs, on GPUs that take the mode at once and on those that need a reboot."""

from collections.abc import Callable

import pytest
from a_live_node import LiveNode
from a_machine import AMachine
from calls import Called, call
from gpus import TUTORIAL, Gpus, layout

from machine.documents.layout import GpuLayout
from machine.gpu.all_gpus import AllGpus
from machine.gpu.nvidia_smi import NvidiaSmi

Make = Callable[..., Gpus]
LiveMake = Callable[..., LiveNode]


def modes(gpus: Gpus, *mode: bool) -> Called:
    gpus.machine.desire(mig={"mode": mode})
    return call(gpus.machine, "modes")


def test_an_a100_asks_for_one_reboot_and_has_the_mode_after_it(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    first = modes(a100, True)
    assert (first.status, first.stdout) == (0, "reboot MIG mode of GPU 0 changes only with a reboot\n")
    assert first.stderr == "turns MIG mode of GPU 0 on\n"
    assert a100.mode() == ["Disabled, Enabled"]
    a100.reboot()
    second = modes(a100, True)
    assert (second.status, second.stdout) == (0, "unchanged GPU 0 Enabled\n")
    assert a100.mode() == ["Enabled, Enabled"]


def test_a_mode_that_waits_for_its_reboot_asks_for_it_again(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    modes(a100, True)
    assert modes(a100, True).stdout == "reboot MIG mode of GPU 0 changes only with a reboot\n"


def test_a_mode_that_stays_pending_over_a_reboot_still_asks_for_one(gpus: Make) -> None:
    """Whether a reboot is tried again is decided by who runs the stages."""
    a100 = gpus("A100-80GB")
    a100.faults(mode_stays_pending=True)
    modes(a100, True)
    a100.reboot()
    assert modes(a100, True).stdout == "reboot MIG mode of GPU 0 changes only with a reboot\n"


def test_an_h100_gets_mig_mode_without_a_reboot_at_every_boot(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    assert modes(h100, True).stdout == "done GPU 0 Enabled\n"
    assert h100.mode() == ["Enabled, Enabled"]
    h100.reboot()
    assert h100.mode() == ["Disabled, Disabled"]
    assert modes(h100, True).stdout == "done GPU 0 Enabled\n"
    assert h100.mode() == ["Enabled, Enabled"]


def test_several_gpus_share_one_reboot(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    assert modes(two, True, True).stdout == "reboot MIG mode of GPU 0, GPU 1 changes only with a reboot\n"
    two.reboot()
    assert modes(two, True, True).stdout == "unchanged GPU 0 Enabled, GPU 1 Enabled\n"


def test_one_gpu_may_be_divided_and_the_other_not(gpus: Make) -> None:
    two = gpus("H100-80GB", "H100-80GB")
    assert modes(two, True, False).stdout == "done GPU 0 Enabled, GPU 1 Disabled\n"
    assert two.mode() == ["Enabled, Enabled", "Disabled, Disabled"]


def test_mig_mode_off_removes_the_instances_first(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    modes(h100, True)
    assert call(h100.machine, "apply", stdin=layout(TUTORIAL)).status == 0
    assert modes(h100, False).stdout == "done GPU 0 Disabled\n"
    assert h100.mode() == ["Disabled, Disabled"]
    assert h100.places() == []


def test_a_mode_that_stays_on_keeps_the_instances(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    modes(h100, True)
    call(h100.machine, "apply", stdin=layout(TUTORIAL))
    before = h100.state()
    h100.faults(hang="-lgip")  # it need not tell its profiles
    assert modes(h100, True).stdout == "unchanged GPU 0 Enabled\n"
    assert h100.state() == before


def test_a_busy_instance_keeps_mig_mode_on_and_is_told(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    modes(h100, True)
    report = call(h100.machine, "apply", stdin=layout(TUTORIAL)).report
    h100.faults(busy=report.gpus[0].instances[0].uuids)
    ended = modes(h100, False)
    assert ended.status == 1
    assert h100.places() == ["14:0", "19:2", "9:4"]
    assert h100.mode() == ["Enabled, Enabled"]
    assert ended.stdout.startswith("failed GPU 0: 2g.20gb at 0 cannot be removed; nvidia-smi said: ")
    assert "In use by another client" in ended.stdout


def test_a_gpu_that_could_not_be_given_back_its_instances_is_told_to_be_half_changed(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    modes(h100, True)
    report = call(h100.machine, "apply", stdin=layout(TUTORIAL)).report
    h100.faults(busy=report.gpus[0].instances[0].uuids, cgi_claims_success=True)
    assert modes(h100, False).stdout.startswith("half-changed\nfailed GPU 0: 2g.20gb at 0 cannot be removed; ")


def test_a_mode_that_the_driver_refuses_asks_for_no_reboot(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    a100.machine.environment.update(GPU_PRIVILEGED="0")
    ended = modes(a100, True)
    assert ended.status == 1
    assert ended.stdout.startswith(
        "failed GPU 0: MIG mode does not turn on; nvidia-smi said: Unable to enable MIG Mode"
    )
    assert "Insufficient Permissions" in ended.stdout


def test_a_gpu_that_is_missing_is_named(gpus: Make) -> None:
    ended = modes(gpus("H100-80GB"), True, True)
    assert ended.status == 1
    assert ended.stdout == (
        "failed GPU 0: not tried, because another GPU failed; "
        "GPU 1: does not tell its MIG mode: No devices were found. See `lspci -d 10de:` and dmesg\n"
    )


def test_the_layout_of_the_boots_is_not_touched(gpus: Make) -> None:
    h100 = gpus("H100-80GB")
    modes(h100, True)
    call(h100.machine, "apply", stdin=layout(TUTORIAL))
    before = h100.machine.read("etc/mig-k8s/layout.json")
    modes(h100, False)
    assert h100.machine.read("etc/mig-k8s/layout.json") == before


def test_a_reboot_of_a_finished_machine_ends_with_the_same_instances(gpus: Make) -> None:
    a100 = gpus("A100-80GB")
    modes(a100, True)
    a100.reboot()
    call(a100.machine, "apply", stdin=layout(TUTORIAL))
    before = a100.state()
    a100.reboot()
    assert call(a100.machine, "boot").status == 0
    assert modes(a100, True).stdout == "unchanged GPU 0 Enabled\n"
    assert a100.state() == before
    assert call(a100.machine, "apply", stdin=layout(TUTORIAL)).report.changed is False


def test_a_machine_whose_mig_is_not_set_by_us_says_so(a_machine: AMachine) -> None:
    a_machine.desire(mig=None)
    ended = call(a_machine, "modes")
    assert (ended.status, ended.stdout) == (2, "")
    assert "the desired state says nothing of MIG" in ended.stderr


# ---- pods


def whole_gpu(live: LiveNode, *names: str) -> None:
    """Pods that hold whole GPUs: the first pod GPU 0, the second GPU 1."""
    live.uuids = live.gpus.uuids
    live.hold(*((name, index) for index, name in enumerate(names)))


@pytest.fixture
def undivided(gpus: Make) -> LiveMake:
    """A node that runs with whole GPUs."""

    def make(*models: str) -> LiveNode:
        live = LiveNode(gpus(*models), divided=False)
        assert live.gpus.mode() == ["Disabled, Disabled"] * len(models)
        return live

    return make


@pytest.mark.parametrize("model", ["A100-80GB", "H100-80GB"])
def test_mig_mode_is_not_turned_on_under_a_pod_that_uses_the_whole_gpu(undivided: LiveMake, model: str) -> None:
    live = undivided(model)
    whole_gpu(live, "training")
    ended = live.modes(True)
    assert ended.status == 1
    assert ended.stdout == (
        "failed GPU 0: pods hold devices that must go: work/training (GPU 0). "
        "Delete them, or set mig.onChange to drain\n"
    )
    assert live.gpus.mode() == ["Disabled, Disabled"]
    assert live.work() == ["training"]


def test_mig_mode_is_turned_on_once_the_pod_has_been_evicted(undivided: LiveMake) -> None:
    live = undivided("H100-80GB")
    whole_gpu(live, "training")
    ended = live.modes(True, on_change="drain")
    assert (ended.status, ended.stdout) == (0, "done GPU 0 Enabled\n")
    assert "evicts pod work/training" in ended.stderr
    assert live.gpus.mode() == ["Enabled, Enabled"]


def test_a_mode_that_needs_a_reboot_is_taken_back_when_a_pod_on_another_gpu_would_die(undivided: LiveMake) -> None:
    live = undivided("A100-80GB", "A100-80GB")
    whole_gpu(live, "ended", "training")
    live.api.change(pods=[item for item in live.api.listed("pods") if item["metadata"]["name"] != "ended"])
    ended = live.modes(True, False)
    assert ended.status == 1
    assert "failed GPU 0: pods hold devices that must go: work/training (the machine must reboot)." in ended.stdout
    assert live.gpus.mode() == ["Disabled, Disabled"] * 2
    assert live.work() == ["training"]


def test_instances_that_went_for_a_reboot_that_may_not_be_come_back(gpus: Make) -> None:
    live = LiveNode(gpus("A100-80GB", "A100-80GB"))
    live.uuids = live.gpus.uuids
    live.hold(("training", 1))
    before = live.gpus.places()
    made = AllGpus(NvidiaSmi(live.machine), only_mode=True).make([GpuLayout(0, mode=False), GpuLayout(1, mode=True)])
    assert (made.applied, made.changed) == (False, False)
    first, second = made.gpus
    assert (first.outcome, first.removed, first.restored, second.outcome) == ("refused", (), True, "unchanged")
    assert live.gpus.places() == before
    assert live.gpus.mode() == ["Enabled, Enabled"] * 2


def test_a_reboot_that_may_not_be_does_not_spoil_what_another_gpu_did_without_one(undivided: LiveMake) -> None:
    live = undivided("A100-80GB", "H100-80GB", "A100-80GB")
    live.uuids = live.gpus.uuids
    live.hold(("training", 2))
    ended = live.modes(True, True, False)
    assert ended.stdout == (
        "failed GPU 0: pods hold devices that must go: work/training (the machine must reboot). "
        "Delete them, or set mig.onChange to drain\n"
    )
    assert live.gpus.mode() == ["Disabled, Disabled", "Enabled, Enabled", "Disabled, Disabled"]


def test_a_reboot_for_a_mode_evicts_the_pods_of_all_gpus_if_it_may(undivided: LiveMake) -> None:
    live = undivided("A100-80GB", "A100-80GB")
    whole_gpu(live, "first", "second")
    ended = live.modes(True, False, on_change="drain")
    assert (ended.status, ended.stdout) == (0, "reboot MIG mode of GPU 0 changes only with a reboot\n")
    assert live.gpus.mode() == ["Disabled, Enabled", "Disabled, Disabled"]
    assert live.work() == []


def test_mig_mode_is_not_turned_off_under_a_pod_on_an_instance(gpus: Make) -> None:
    live = LiveNode(gpus("A100-80GB"))
    live.hold(("notebook", 5))
    before = live.gpus.state()
    ended = live.modes(False)
    assert ended.status == 1
    assert "work/notebook (1g.10gb at 5)" in ended.stdout
    assert (live.gpus.state(), live.gpus.mode()) == (before, ["Enabled, Enabled"])


def test_a_mode_that_is_right_asks_neither_pods_nor_services(gpus: Make) -> None:
    live = LiveNode(gpus("A100-80GB"))
    live.hold(("notebook", 5))
    live.gpus.faults(hang="-lgip")
    ended = live.modes(True)
    assert (ended.status, ended.stdout) == (0, "unchanged GPU 0 Enabled\n")
    assert live.api.calls() == live.machine.systemd.calls() == []
    assert len(live.gpus.state()) == 7
