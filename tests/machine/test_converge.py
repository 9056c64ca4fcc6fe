"""One run over the stages, with stages that do what the test says."""

import dataclasses
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from a_machine import DESIRED, FIRST_BOOT, NAME, SECOND_BOOT
from full_disk import FillDisk
from kubernetes_objects import node, pod
from staged import RUN, StagedMachine, WentDownError

from machine.converge import script
from machine.converge.stages import stages
from machine.host.clock import Clock

ROOM = "No space left on device. Make room on the machine (`df -h`, "
REBOOT_ONCE = f"""
    if [ "$(cat $MIG_K8S_ROOT/proc/sys/kernel/random/boot_id)" = {FIRST_BOOT} ]; then
      echo reboot MIG mode of GPU 0 changes only with a reboot
    else
      echo done GPU 0 Enabled
    fi
"""


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    return StagedMachine.below(tmp_path)


def test_converge_runs_the_stages_in_order_and_records_each(machine: StagedMachine) -> None:
    assert machine.converge() == 0
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode", "rke2"]
    result = machine.result()
    assert result.state == "done"
    assert machine.outcomes() == {**dict.fromkeys(RUN, "done"), "fabric-manager": "skipped"}
    assert machine.reason("fabric-manager") == "no NVSwitch joins this machine's GPUs"
    driver = machine.record("driver")
    assert (driver.reason, driver.boot_id, len(driver.inputs)) == ("driver is well", FIRST_BOOT, 64)
    assert driver.ended is not None
    assert driver.started <= driver.ended
    assert machine.mode_of("var/lib/mig-k8s/result.json") == "0o600"


def test_a_second_converge_runs_no_stage(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    assert machine.converge() == 0
    assert machine.runs() == []


def test_only_the_stage_whose_inputs_changed_runs_again(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    machine.write("etc/rancher/rke2/config.yaml", "cni: canal\n", 0o600)
    machine.converge()
    assert machine.runs() == ["rke2"]
    machine.desire(mig={"mode": [False]})
    machine.converge()
    assert machine.runs() == ["mig-mode"]


def test_what_all_stages_share_is_an_input_of_each(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    library = machine.release / "library"
    library.mkdir()
    (library / "stage.sh").write_text("# another one\n", encoding="utf-8")
    machine.converge()
    assert machine.runs() == list(RUN)


def test_every_stage_looks_again_after_a_boot(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    machine.next_boot()
    assert machine.converge() == 0
    assert machine.runs() == list(RUN)


def test_a_stage_gets_its_section_of_the_desired_state_by_one_rule(machine: StagedMachine) -> None:
    rke2 = {**DESIRED["rke2"], "gpu": True}
    machine.desire(mig={"mode": [True, False], "onChange": "drain"}, rke2=rke2)
    for name in (*RUN, "fabric-manager"):
        machine.stage(name, "env | grep -E '^(APT|DRIVER|TOOLKIT|MIG|RKE2)_' | sort >>$STATE/env\necho done ok")
    machine.converge()
    lines = (machine.state / "env").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("MIG_K8S_ROOT")] == [
        "APT_UBUNTU=",
        "DRIVER_BRANCH=580",
        "DRIVER_OPEN_KERNEL_MODULES=0",
        "DRIVER_SOURCE=ubuntu",
        "DRIVER_UPDATE=",
        "TOOLKIT_APT=https://nvidia.github.io/libnvidia-container",
        "TOOLKIT_DEVICE_LIST_FROM_ENVIRONMENT=0",
        "TOOLKIT_VERSION=1.20.0-1",
        "MIG_MODE=1 0",
        "MIG_ON_CHANGE=drain",
        "RKE2_ARTIFACTS=",
        "RKE2_CIS=0",
        "RKE2_GPU=1",
        "RKE2_IMAGE_ARCHIVES=",
        "RKE2_PODS_REACH_METADATA=0",
        "RKE2_ROLE=server",
        "RKE2_SHA256=",
        "RKE2_VERSION=v1.35.7+rke2r1",
    ]


def test_a_stage_gets_nothing_of_the_callers_environment(
    machine: StagedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKE2_ROLE", "agent")
    monkeypatch.setenv("SOMETHING", "else")
    machine.stage("apt", "echo done ${RKE2_ROLE:-none} ${SOMETHING:-nothing}")
    machine.converge()
    assert machine.reason("apt") == "none nothing"


def test_a_machine_without_gpu_skips_four_stages_and_says_why(machine: StagedMachine) -> None:
    machine.desire(driver=None, toolkit=None, mig=None)
    assert machine.converge() == 0
    assert machine.runs() == ["apt", "rke2"]
    assert machine.outcomes() == {
        "apt": "done",
        "driver": "skipped",
        "fabric-manager": "skipped",
        "toolkit": "skipped",
        "mig-mode": "skipped",
        "rke2": "done",
    }
    assert machine.reason("mig-mode") == machine.reason("fabric-manager") == "this machine has no GPU"


def test_fabric_manager_comes_between_driver_and_mig_mode_and_looks_again_after_the_driver(
    machine: StagedMachine,
) -> None:
    machine.desire(fabricManager={"source": "ubuntu", "branch": 580})
    machine.stage("fabric-manager", "echo done $FABRIC_MANAGER_SOURCE $FABRIC_MANAGER_BRANCH")
    assert machine.converge() == 0
    assert machine.runs() == ["apt", "driver", "fabric-manager", "toolkit", "mig-mode", "rke2"]
    assert machine.reason("fabric-manager") == "ubuntu 580"
    machine.stage("driver", "echo done another")
    machine.runs()
    assert machine.converge() == 0
    assert machine.runs() == ["driver", "fabric-manager"]


def test_a_machine_whose_mig_is_not_ours_says_whose_it_is(machine: StagedMachine) -> None:
    machine.desire(mig=None)
    assert machine.converge() == 0
    assert machine.reason("mig-mode") == "the GPU Operator's MIG Manager owns MIG here"


@pytest.mark.parametrize("broken", ["apt", "driver", "toolkit", "mig-mode"])
def test_rke2_comes_up_whatever_else_is_broken_and_ready_says_what_is(
    machine: StagedMachine, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.stage(broken, "echo the log says why >&2\necho failed it is broken\nexit 1")
    assert machine.command("ready") == 1
    said = capsys.readouterr()
    assert machine.outcomes()["rke2"] == "done"
    assert f"{broken} failed: it is broken" in said.err
    assert "the log says why" not in said.err
    assert "mlops-k8s-master is not ready (log files: " in said.err
    # Only what failed, with its reason: the result is for a machine that is ready.
    assert said.out == ""
    assert machine.result().state == "failed"


def test_mig_mode_is_not_tried_without_a_driver_and_is_when_there_is_one(machine: StagedMachine) -> None:
    machine.stage("driver", "echo failed no such package\nexit 1")
    machine.converge()
    assert machine.runs() == ["apt", "driver", "toolkit", "rke2"]
    assert machine.reason("mig-mode") == "not tried, because driver failed"
    machine.stage("driver", "echo done nvidia 580.159.04")
    assert machine.converge() == 0
    assert machine.runs() == ["driver", "mig-mode"]


def test_a_failed_stage_runs_again_with_the_next_converge(machine: StagedMachine) -> None:
    machine.stage("mig-mode", "[ -f $STATE/mended ] && echo done mended && exit 0\necho failed not yet\nexit 1")
    assert machine.converge() == 1
    machine.runs()
    (machine.state / "mended").touch()
    assert machine.converge() == 0
    assert machine.runs() == ["mig-mode"]


def test_rke2_looks_again_when_the_toolkit_came_after_it(machine: StagedMachine) -> None:
    machine.stage("toolkit", "echo failed no key\nexit 1")
    machine.converge()
    assert machine.outcomes()["rke2"] == "done"
    machine.stage("toolkit", "echo done toolkit is well")
    machine.runs()
    assert machine.command("resume") == 0
    assert machine.runs() == ["toolkit", "rke2"]


# ---- a stage's script


def test_a_script_that_dies_without_a_word_fails_with_its_last_log_line(machine: StagedMachine) -> None:
    machine.stage("driver", "echo progress installing\necho 'E: no such package' >&2\nexit 100")
    machine.converge()
    assert machine.reason("driver") == "its script ended with 100: E: no such package"


def test_a_script_that_reports_done_but_dies_has_failed(machine: StagedMachine) -> None:
    machine.stage("driver", "echo done so it says\nkill -9 $$")
    machine.converge()
    assert machine.outcomes()["driver"] == "failed"


def test_a_script_whose_last_word_is_none_of_a_reports_has_failed(machine: StagedMachine) -> None:
    machine.stage("driver", "echo finished so it says")
    machine.converge()
    assert (machine.outcomes()["driver"], machine.reason("driver")) == (
        "failed",
        "its script ended with 0: without a word",
    )


def test_a_script_that_is_missing_is_a_failure_with_a_remedy(machine: StagedMachine) -> None:
    (machine.release / "stages/toolkit").unlink()
    machine.converge()
    assert machine.outcomes()["toolkit"] == "failed"
    assert "run `pulumi up` to write it again" in machine.reason("toolkit")


def test_a_script_that_hangs_is_ended_with_all_it_started_and_its_last_words_told(
    machine: StagedMachine, wait_until: Callable[[Callable[[], bool], str], None]
) -> None:
    machine.stage("driver", "echo asking the mirror >&2\necho $$ >$STATE/group\nsleep 300 & wait")
    (driver,) = [stage for stage in stages(machine) if stage.name == "driver"]
    real_time = dataclasses.replace(machine, clock=Clock())  # type: ignore[arg-type]
    ended = script.run(real_time, dataclasses.replace(driver, seconds=0.5), lambda _: None)
    assert ended == script.End(
        "failed", "not finished after 0.5 s; its last words: asking the mirror", half_changed=True
    )
    group = int((machine.state / "group").read_text(encoding="ascii"))
    wait_until(lambda: not _lives(group), "the stage's processes to end")


def _lives(group: int) -> bool:
    """Whether a process of the group runs; one that has ended may be a zombie for a while."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = status.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_converge(machine: StagedMachine) -> None:
    machine.stage("driver", "sleep 25 & echo $! >$STATE/daemon\necho done started a daemon")
    begun = Clock().monotonic()
    assert machine.converge() == 0
    assert Clock().monotonic() - begun < 15
    os.kill(int((machine.state / "daemon").read_text(encoding="ascii")), 9)


def test_progress_and_reasons_are_free_of_colours_and_control_characters(
    machine: StagedMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.stage("apt", r"""printf 'progress \033[1;31mE:\033[0m 10%%\r 50%%\rdone\a\tso far\n'; echo done ok""")
    machine.stage("driver", r"""printf '\033[31mE: \033[0mno\bway\n' >&2; exit 100""")
    machine.command("resume")
    said = capsys.readouterr()
    assert "apt            doneso far  0 s\n" in said.out
    assert machine.reason("driver") == "its script ended with 100: E: noway"
    assert not re.search(r"[^\n -~]", said.out + said.err)


def test_a_stage_without_room_says_what_to_do(machine: StagedMachine) -> None:
    machine.stage("driver", "echo 'cat: write error: No space left on device' >&2\nexit 1")
    machine.converge()
    assert machine.reason("driver") == (
        "its script ended with 1: cat: write error: No space left on device. Make room on the machine (`df -h`, "
        "`sudo journalctl --vacuum-size=100M`), then `pulumi up` again"
    )


# ---- the result


def test_what_a_stage_did_is_kept_when_later_runs_find_nothing_to_do(machine: StagedMachine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE.replace("done GPU", "unchanged GPU"))
    with pytest.raises(WentDownError):
        machine.converge()
    first = machine.result()
    machine.next_boot()
    for name in ("apt", "driver", "toolkit"):
        machine.stage(name, "echo unchanged all is well")
    assert machine.converge() == 0
    second = machine.result()
    for name in ("apt", "driver", "toolkit"):
        before, after = first.of(name), second.of(name)
        assert before is not None
        assert after is not None
        assert (after.outcome, after.boot_id) == ("unchanged", SECOND_BOOT)
        assert after.worked == before.worked
        assert after.worked is not None
        assert (after.worked.outcome, after.worked.boot_id) == ("done", FIRST_BOOT)
    reboot, rke2 = machine.record("mig-mode").worked, machine.record("rke2").worked
    assert reboot is not None
    assert rke2 is not None
    assert (reboot.outcome, reboot.boot_id) == ("reboot", FIRST_BOOT)
    assert (rke2.outcome, rke2.boot_id) == ("done", SECOND_BOOT)


def test_a_result_torn_by_a_power_cut_is_written_anew(machine: StagedMachine) -> None:
    machine.converge()
    machine.runs()
    machine.write("var/lib/mig-k8s/result.json", machine.read("var/lib/mig-k8s/result.json")[:100])
    assert machine.converge() == 0
    assert machine.runs() == list(RUN)


def test_the_result_of_an_older_release_is_an_empty_one(machine: StagedMachine) -> None:
    stage = {"name": "apt", "inputs": "", "started": "", "ended": None, "outcome": "done", "reason": "", "boot_id": "b"}
    old = {"version": 1, "boot_id": FIRST_BOOT, "state": "done", "stages": [stage], "reboots": {}}
    machine.write("var/lib/mig-k8s/result.json", json.dumps(old))
    assert machine.converge() == 0
    assert machine.runs() == list(RUN)


# ---- a disk that fills up


@pytest.mark.parametrize("command", ["resume", "ready"])
def test_a_disk_that_is_full_is_told_and_the_old_result_is_kept(
    machine: StagedMachine, fill_disk: FillDisk, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    machine.converge()
    before = machine.read("var/lib/mig-k8s/result.json")
    machine.desire(mig={"mode": [False]})
    fill_disk("result.json")
    assert machine.command(command) == 1
    errors = capsys.readouterr().err
    assert f"cannot write {machine.root}/var/lib/mig-k8s/result.json: {ROOM}" in errors
    assert "Traceback" not in errors
    assert machine.read("var/lib/mig-k8s/result.json") == before
    assert [path.name for path in machine.path("var/lib/mig-k8s").iterdir()] == ["result.json"]


def test_a_disk_that_fills_up_in_the_middle_names_the_stage_and_the_next_run_goes_on(
    machine: StagedMachine, fill_disk: FillDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    full = machine.root / "full"
    fill_disk("result.json", full.exists)
    machine.stage("toolkit", "touch $MIG_K8S_ROOT/full\necho done toolkit is well")
    assert machine.command("resume") == 1
    errors = capsys.readouterr().err
    assert "mlops-k8s-master is not ready" in errors
    assert f"toolkit failed: cannot write {machine.root}/var/lib/mig-k8s/result.json: {ROOM}" in errors
    assert machine.outcomes() == {
        "apt": "done",
        "driver": "done",
        "fabric-manager": "skipped",
        "toolkit": "running",
    }
    full.unlink()
    machine.stage("toolkit", "echo done toolkit is well")
    machine.runs()
    assert machine.command("ready") == 0
    assert machine.runs() == ["toolkit", "mig-mode", "rke2"]


def test_a_disk_that_is_full_when_a_reboot_is_due_locks_nobody_out(machine: StagedMachine, fill_disk: FillDisk) -> None:
    fill_disk("result.json", machine.path("run/nologin").exists)
    machine.stage("mig-mode", REBOOT_ONCE)
    assert machine.command("resume") == 1
    assert not machine.path("run/nologin").exists()
    assert machine.systemd.calls("systemctl reboot") == []


# ---- the reboot


def test_a_reboot_that_does_not_help_is_reported_and_not_repeated(machine: StagedMachine) -> None:
    machine.stage("mig-mode", "echo reboot MIG mode of GPU 0 changes only with a reboot")
    with pytest.raises(WentDownError):
        machine.converge()
    assert machine.systemd.calls("systemctl reboot") == ["systemctl reboot"]
    machine.next_boot()
    machine.runs()
    assert machine.converge() == 1
    assert machine.systemd.calls("systemctl reboot") == ["systemctl reboot"]
    assert machine.reason("mig-mode") == (
        "MIG mode of GPU 0 changes only with a reboot; "
        "the machine was rebooted for this once, it did not help and is not repeated. "
        "When the cause is gone: `sudo reboot`, then `pulumi up`"
    )
    assert machine.outcomes()["rke2"] == "done"
    # Neither another run nor new scripts make it reboot again; another desired state does.
    machine.stage("mig-mode", "echo reboot again")
    assert machine.converge() == 1
    assert len(machine.systemd.calls("systemctl reboot")) == 1
    machine.desire(mig={"mode": [False]})
    with pytest.raises(WentDownError):
        machine.converge()
    assert len(machine.systemd.calls("systemctl reboot")) == 2


@pytest.fixture
def in_use(machine: StagedMachine) -> StagedMachine:
    """An agent on which a user's pod runs, and whose driver wants a reboot."""
    machine.join("agent")
    machine.api.change(nodes=[node(NAME, "b", {}, {})], pods=[pod("train-0", NAME, "u1")])
    machine.stage("driver", "echo reboot the kernel runs another driver version than the one installed")
    return machine


def pods_left(machine: StagedMachine) -> list[str]:
    return [each["metadata"]["name"] for each in machine.api.listed("pods")]


def test_pods_of_users_are_evicted_for_the_drivers_reboot_and_never_for_one_that_does_not_come(
    in_use: StagedMachine,
) -> None:
    in_use.desire(pods={"onChange": "drain", "namespaces": ["kube-system"]})
    with pytest.raises(WentDownError):
        in_use.converge()
    assert pods_left(in_use) == []
    in_use.next_boot()
    in_use.api.change(pods=[pod("train-1", NAME, "u2")])
    assert in_use.converge() == 1
    assert "the machine was rebooted for this once, it did not help and is not repeated" in in_use.reason("driver")
    assert pods_left(in_use) == ["train-1"]


def test_where_pods_of_users_stay_the_machine_does_not_reboot_for_its_driver_and_may_later(
    in_use: StagedMachine,
) -> None:
    in_use.desire(pods={"onChange": "refuse", "namespaces": ["kube-system"]})
    assert in_use.converge() == 1
    assert in_use.reason("driver") == (
        "the kernel runs another driver version than the one installed, and the machine does not reboot: "
        f"{NAME} must reboot for its driver, and pods run on it: work/train-0. Delete them, or set mig.onChange "
        "to drain, then `pulumi up`"
    )
    assert in_use.systemd.calls("systemctl reboot") == []
    assert pods_left(in_use) == ["train-0"]
    in_use.api.change(pods=[])
    with pytest.raises(WentDownError):
        in_use.converge()


def test_a_reboot_that_helped_may_be_asked_for_again(machine: StagedMachine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    with pytest.raises(WentDownError):
        machine.converge()
    machine.next_boot()
    assert machine.converge() == 0
    assert machine.result().reboots == {}


def test_a_run_killed_before_its_reboot_opens_logins_again_and_still_reboots_once(machine: StagedMachine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    with pytest.raises(WentDownError):  # killed the moment before: the machine is in the same boot
        machine.converge()
    assert machine.path("run/nologin").exists()
    assert machine.result().state == "reboot"
    machine.stage("mig-mode", "[ -e $MIG_K8S_ROOT/run/nologin ] && touch $STATE/closed\n" + REBOOT_ONCE.strip())
    with pytest.raises(WentDownError):
        machine.converge()
    assert not (machine.state / "closed").exists()
    assert len(machine.systemd.calls("systemctl reboot")) == 2


def test_somebody_elses_nologin_is_not_touched(machine: StagedMachine) -> None:
    machine.write("run/nologin", "maintenance until noon\n")
    machine.converge()
    assert machine.read("run/nologin") == "maintenance until noon\n"


def test_a_machine_that_cannot_reboot_says_so_and_brings_rke2_up(machine: StagedMachine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    machine.systemd.goes_down = False
    assert machine.converge() == 1
    assert "did not reboot: Failed to connect to bus" in machine.reason("mig-mode")
    assert not machine.path("run/nologin").exists()
    assert machine.outcomes()["rke2"] == "done"
    assert machine.result().state == "failed"


def test_logins_close_before_the_reboot_and_followers_have_a_minute_to_leave(machine: StagedMachine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    seen: list[tuple[bool, str]] = []
    machine.systemd.on_reboot = lambda: seen.append((machine.path("run/nologin").exists(), machine.result().state))
    begun = machine.clock.monotonic()
    assert machine.command("resume") == 0  # which follows, and stays for all of that minute
    assert seen == [(True, "reboot")]
    assert 60 < machine.clock.monotonic() - begun < 65
    assert machine.read("run/nologin").startswith("mig-k8s: this machine reboots")


# ---- a desired state that cannot be used


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        ("{", "is not JSON"),
        ('{"version": 9}', "has version 9, this release of mig-k8s understands 1"),
        ('{"version": 1}', "node is missing"),
    ],
)
@pytest.mark.parametrize("command", ["converge", "status", "resume", "ready"])
def test_a_desired_state_that_cannot_be_used_is_told_without_a_traceback(
    machine: StagedMachine, content: str | None, said: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        machine.path("etc/mig-k8s/desired.json").unlink()
    else:
        machine.write("etc/mig-k8s/desired.json", content)
    assert machine.command(command) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "pulumi up" in errors or content != '{"version": 9}'
    assert "Traceback" not in errors


# ---- the release before this one


@pytest.mark.parametrize(("last", "remains"), [("done all is well", False), ("failed it is broken", True)])
def test_the_release_before_goes_when_a_run_of_this_one_has_ended_well_and_stays_when_not(
    machine: StagedMachine, last: str, *, remains: bool
) -> None:
    releases = machine.path("usr/local/lib/mig-k8s/releases")
    before, this = releases / "before", releases / "this"
    before.mkdir(parents=True)
    machine.release.rename(this)
    (releases.parent / "current").symlink_to("releases/this")
    running = dataclasses.replace(machine, release=this)
    running.stage("rke2", f"echo {last}\n[ {last.split(maxsplit=1)[0]} = done ]")
    assert running.converge() == int(remains)
    assert before.exists() is remains
    assert this.exists()
