"""`apply` when GPUs, the driver or the disk fail: what was there is given back, and people are told."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from a_machine import AMachine
from calls import Called, call
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, layout

from machine.documents.layout import GpuLayout, Layout
from machine.gpu import apply as applying
from machine.gpu.nvidia_smi import NvidiaSmi

Make = Callable[..., Gpus]


def apply(gpus: Gpus, *wanted: GpuLayout) -> Called:
    return call(gpus.machine, "apply", "--json", stdin=layout(*wanted))


def test_a_creation_that_fails_half_way_gives_back_what_was_there(a100: Gpus) -> None:
    apply(a100, SEVEN)
    before = a100.places()
    a100.faults(cgi_fails_at=2)  # the 3g is made, the 2g is not
    ended = apply(a100, TUTORIAL)
    assert ended.status == 1
    assert a100.places() == before
    assert ended.report.gpus[0].restored is True
    assert "nvidia-smi said:" in ended.report.gpus[0].reason
    assert "has what it had before" in ended.stderr
    a100.faults()
    assert apply(a100, TUTORIAL).status == 0


def test_success_that_was_only_claimed_is_not_believed(a100: Gpus) -> None:
    a100.faults(cgi_claims_success=True)
    ended = apply(a100, TUTORIAL)
    assert ended.status == 1
    words = "it shows no instances afterwards; nvidia-smi said: Successfully created"
    assert ended.report.gpus[0].reason.startswith(words)
    assert not a100.machine.path("/etc/mig-k8s/layout.json").exists()


def test_a_gpu_that_cannot_be_given_back_what_it_had_says_so(a100: Gpus) -> None:
    apply(a100, SEVEN)
    a100.faults(cgi_claims_success=True)
    ended = apply(a100, TUTORIAL)
    assert (ended.status, ended.report.gpus[0].restored) == (1, False)
    assert "COULD NOT be given back what it had" in ended.stderr


def test_a_busy_instance_stays_with_everything_else_and_is_named(a100: Gpus) -> None:
    busy = apply(a100, SEVEN).report.gpus[0].instances[5]
    before = a100.state()
    a100.faults(busy=busy.uuids)
    ended = apply(a100, TUTORIAL)
    assert ended.status == 1
    assert f"{busy.profile} at {busy.start} cannot be removed" in ended.report.gpus[0].reason
    assert "In use by another client" in ended.report.gpus[0].reason
    assert ended.report.gpus[0].restored is True
    assert [(i["id"], i["start"]) for i in a100.state()] == [(i["id"], i["start"]) for i in before]


def test_a_busy_instance_that_can_stay_is_in_nobodys_way(a100: Gpus) -> None:
    report = apply(a100, SEVEN).report
    a100.faults(busy=report.gpus[0].instances[0].uuids)
    assert apply(a100, FOUR_STAY).status == 0


def test_an_nvidia_smi_that_hangs_ends_with_a_sentence(a100: Gpus, capsys: pytest.CaptureFixture[str]) -> None:
    a100.faults(hang="-lgip")
    assert applying.apply(NvidiaSmi(a100.machine, seconds=0.5), Layout((TUTORIAL,))) == 1
    assert "GPU 0  failed: `nvidia-smi mig -i 0 -lgipp` did not answer within 0 s; see dmesg" in capsys.readouterr().err


def test_a_gpu_that_fell_off_the_bus_is_named(gpus: Make) -> None:
    two = gpus("A100-80GB", "A100-80GB")
    two.enable()
    two.faults(off_the_bus=[1])
    ended = apply(two, TUTORIAL, GpuLayout(1, mode=True, instances=SEVEN.instances))
    assert ended.status == 1
    assert ended.report.gpus[1].reason.startswith("GPU 1 does not tell its MIG mode: Unable to determine the device")


def test_a_machine_without_the_drivers_module_says_so(a100: Gpus) -> None:
    a100.unload()
    ended = apply(a100, TUTORIAL)
    assert ended.status == 1
    assert "couldn't communicate with the NVIDIA driver" in ended.report.gpus[0].reason


def test_a_machine_without_nvidia_smi_says_what_installs_it(a_machine: AMachine) -> None:
    ended = call(a_machine, "apply", stdin=layout(TUTORIAL))
    assert ended.status == 1
    assert "GPU 0  failed: there is no nvidia-smi: the driver stage installs it" in ended.stderr


def test_the_container_toolkit_lists_the_devices_anew_after_a_change_only(a100: Gpus) -> None:
    a100.machine.systemd.set(known=["nvidia-cdi-refresh.service"])
    restart = "systemctl restart nvidia-cdi-refresh.service"
    apply(a100, TUTORIAL)
    assert a100.machine.systemd.calls("systemctl restart") == [restart]
    apply(a100, TUTORIAL)
    assert a100.machine.systemd.calls("systemctl restart") == [restart]
    a100.machine.systemd.set(broken=["nvidia-cdi-refresh.service"])
    ended = apply(a100, SEVEN)
    assert ended.status == 0
    assert "nvidia-cdi-refresh.service does not restart; CDI devices may be those of the old layout" in ended.stderr


def test_a_refresh_that_was_started_too_often_before_is_started_all_the_same_and_its_watcher_with_it(
    a100: Gpus,
) -> None:
    """As when the driver was installed some seconds ago: systemd refuses the sixth start within ten."""
    units = ["nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path"]
    a100.machine.systemd.set(known=units, limited=units)
    ended = apply(a100, TUTORIAL)
    assert "does not restart" not in ended.stderr
    assert set(units) <= set(a100.machine.systemd.active)


# ---- a full disk


def fill_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on there is no room for the content of a file of this name."""
    fsync = os.fsync

    def full(handle: int) -> None:
        if f".{name}." in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)


def test_a_layout_that_cannot_be_remembered_is_made_reported_and_fails(
    a100: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(a100, SEVEN)
    before = a100.machine.read("etc/mig-k8s/layout.json")
    fill_disk(monkeypatch, "layout.json")
    ended = apply(a100, TUTORIAL)
    assert (ended.status, ended.report.gpus[0].outcome) == (1, "changed")
    assert a100.places() == ["14:0", "19:2", "9:4"]
    assert (
        f"the GPUs have the layout, but no boot will make it again: cannot write {a100.machine.root}/etc/mig-k8s/"
        "layout.json: No space left on device. Make room on the machine (`df -h`, "
    ) in ended.stderr
    assert a100.machine.read("etc/mig-k8s/layout.json") == before
    assert sorted(path.name for path in a100.machine.path("/etc/mig-k8s").iterdir()) == ["desired.json", "layout.json"]


def test_without_room_for_a_note_of_what_is_paused_nothing_is_touched(
    a100: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(a100, SEVEN)
    before = a100.state()
    fill_disk(monkeypatch, "paused")
    ended = apply(a100, TUTORIAL)
    assert (ended.status, ended.report.gpus[0].outcome) == (1, "refused")
    assert "No space left on device" in ended.report.gpus[0].reason
    assert a100.state() == before
