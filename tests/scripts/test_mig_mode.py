"""The MIG mode stage, run by converge, on GPUs that take the mode at once and on those that need a reboot."""

from collections.abc import Callable

import pytest
from gpu_on_machine import Gpus, layout
from scripted_machine import DESIRED, FIRST_BOOT, SECOND_BOOT
from test_mig_apply import TUTORIAL, apply

Make = Callable[..., Gpus]
DOWN = -9
"""Exit code of a converge that the reboot ended."""


@pytest.fixture
def machine_with(gpus: Make) -> Make:
    """A machine whose other stages succeed at once and that goes down when it is told to reboot."""

    def make(*models: str, mode: list[bool]) -> Gpus:
        made = gpus(*models)
        machine = made.machine
        for name in ("apt", "driver", "toolkit", "rke2"):
            machine.stage(name, f"echo done {name}")
        real = machine.root / "usr/local/lib/mig-k8s/stages/mig-mode"
        machine.copy("stages/mig-mode", "usr/local/lib/mig-k8s/stages/mig-mode")
        # The stage sources the real apt for its functions.
        machine.copy("stages/apt", "usr/local/lib/mig-k8s/stages/reports")
        text = real.read_text(encoding="utf-8").replace('")/apt"', '")/reports"')
        real.write_text(text, encoding="utf-8")
        machine.program("systemctl", 'case "$1" in reboot) kill -9 $PPID ;; *) echo inactive; exit 3 ;; esac')
        machine.desired(mig={"mode": mode})
        return made

    return make


def converge(gpus: Gpus) -> int:
    return gpus.machine.run("mig-k8s", "converge").returncode


def boot(gpus: Gpus) -> None:
    gpus.reboot()
    gpus.machine.boot(SECOND_BOOT)
    (gpus.machine.root / "run/nologin").unlink(missing_ok=True)


def test_an_a100_gets_mig_mode_with_exactly_one_reboot_before_rke2(machine_with: Make) -> None:
    a100 = machine_with("A100-80GB", mode=[True])
    assert converge(a100) == DOWN
    assert a100.mode() == ["Disabled, Enabled"]
    assert a100.machine.runs() == ["apt", "driver", "toolkit"]
    assert a100.machine.reason("mig-mode") == "MIG mode of GPU 0 changes only with a reboot"
    boot(a100)
    assert converge(a100) == 0
    assert a100.mode() == ["Enabled, Enabled"]
    assert a100.machine.reason("mig-mode") == "GPU 0 Enabled"
    assert len(a100.machine.calls("systemctl reboot")) == 1


def test_a_mode_that_stays_pending_is_reported_after_one_reboot_and_rke2_comes_up(machine_with: Make) -> None:
    a100 = machine_with("A100-80GB", mode=[True])
    a100.faults(mode_stays_pending=True)
    assert converge(a100) == DOWN
    boot(a100)
    a100.machine.runs()
    assert converge(a100) == 1
    assert "it did not help and is not repeated" in a100.machine.reason("mig-mode")
    assert "rke2" in a100.machine.runs()
    assert len(a100.machine.calls("systemctl reboot")) == 1


def test_an_h100_gets_mig_mode_without_a_reboot_at_every_boot(machine_with: Make) -> None:
    h100 = machine_with("H100-80GB", mode=[True])
    assert converge(h100) == 0
    assert h100.mode() == ["Enabled, Enabled"]
    boot(h100)
    assert h100.mode() == ["Disabled, Disabled"]
    assert converge(h100) == 0
    assert h100.mode() == ["Enabled, Enabled"]
    assert h100.machine.calls("systemctl reboot") == []


def test_several_gpus_share_one_reboot(machine_with: Make) -> None:
    two = machine_with("A100-80GB", "A100-80GB", mode=[True, True])
    assert converge(two) == DOWN
    assert two.machine.reason("mig-mode") == "MIG mode of GPU 0, GPU 1 changes only with a reboot"
    boot(two)
    assert converge(two) == 0
    assert two.mode() == ["Enabled, Enabled", "Enabled, Enabled"]


def test_one_gpu_may_be_divided_and_the_other_not(machine_with: Make) -> None:
    two = machine_with("H100-80GB", "H100-80GB", mode=[True, False])
    assert converge(two) == 0
    assert two.mode() == ["Enabled, Enabled", "Disabled, Disabled"]


def test_mig_mode_off_removes_the_instances_first(machine_with: Make) -> None:
    h100 = machine_with("H100-80GB", mode=[True])
    converge(h100)
    assert apply(h100, TUTORIAL)[0] == 0
    h100.machine.desired(mig={"mode": [False]})
    assert converge(h100) == 0
    assert h100.mode() == ["Disabled, Disabled"]
    assert h100.places() == []


def test_a_busy_instance_keeps_mig_mode_on_and_is_told(machine_with: Make) -> None:
    h100 = machine_with("H100-80GB", mode=[True])
    converge(h100)
    _, report, _ = apply(h100, TUTORIAL)
    h100.faults(busy=report["gpus"][0]["instances"][0]["uuids"])
    h100.machine.desired(mig={"mode": [False]})
    assert converge(h100) == 1
    assert h100.places() == ["14:0", "19:2", "9:4"]
    assert "GPU 0: 2g.20gb at 0 cannot be removed; nvidia-smi said: " in h100.machine.reason("mig-mode")
    assert "In use by another client" in h100.machine.reason("mig-mode")


def test_a_gpu_that_is_missing_is_named_and_rke2_comes_up(machine_with: Make) -> None:
    one = machine_with("H100-80GB", mode=[True, True])
    assert converge(one) == 1
    assert one.machine.reason("mig-mode").endswith(
        "GPU 1: does not tell its MIG mode: No devices were found. See `lspci -d 10de:` and dmesg"
    )
    assert one.machine.outcomes()["rke2"] == "done"


def test_a_reboot_of_a_finished_machine_ends_with_the_same_instances(machine_with: Make) -> None:
    a100 = machine_with("A100-80GB", mode=[True])
    assert a100.machine.read("proc/sys/kernel/random/boot_id").strip() == FIRST_BOOT
    converge(a100)
    boot(a100)
    converge(a100)
    apply(a100, TUTORIAL)
    before = a100.state()
    a100.reboot()
    a100.machine.boot("33333333-3333-3333-3333-333333333333")
    assert a100.machine.run("mig-apply", "--boot").returncode == 0
    assert converge(a100) == 0
    assert a100.state() == before
    assert DESIRED["mig"] == {"mode": [True]}
    assert apply(a100, layout("3g.40gb:4", "2g.20gb:0", "1g.10gb:2"))[1]["changed"] is False


@pytest.mark.parametrize(("on_change", "options"), [("refuse", ""), ("drain", " --drain")])
def test_the_stage_passes_on_what_happens_to_pods_and_shows_what_is_done(
    machine_with: Make, on_change: str, options: str
) -> None:
    machine = machine_with("A100-80GB", mode=[True]).machine
    machine.desired(mig={"mode": [True, False], "onChange": on_change})
    script = '#!/bin/sh\necho "$*" >$STATE/options\necho evicts pod a/b >&2\necho done GPU 0 Enabled\n'
    machine.write("usr/local/sbin/mig-apply", script, 0o755)
    ended = machine.run("mig-k8s", "converge")
    assert (machine.state / "options").read_text(encoding="utf-8") == f"--modes 1 0{options}\n"
    assert "mig-mode   evicts pod a/b" in ended.stderr
    assert (machine.outcomes()["mig-mode"], machine.reason("mig-mode")) == ("done", "GPU 0 Enabled")
