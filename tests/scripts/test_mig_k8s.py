"""mig-k8s: the converge path, with stages that do what the test says."""

import json
import re
import subprocess
from collections.abc import Callable

import pytest
from scripted_machine import DESIRED, FIRST_BOOT, SECOND_BOOT, STAGES, Machine

THIRD_BOOT = "33333333-3333-3333-3333-333333333333"
Wait = Callable[[Callable[[], bool], str], None]


def bundle(**files: str) -> str:
    return json.dumps(
        {"version": 1, "files": [{"path": path, "mode": "0600", "content": files[path]} for path in files]}
    )


EMPTY = bundle()


def test_converge_runs_the_stages_in_order_and_records_each(machine: Machine) -> None:
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode", "rke2"]
    result = machine.result()
    assert result["state"] == "done"
    assert [stage["outcome"] for stage in result["stages"]] == ["done"] * 5
    assert result["stages"][1]["reason"] == "driver is well"
    assert result["stages"][1]["boot_id"] == FIRST_BOOT
    assert len(result["stages"][1]["inputs"]) == 64
    assert result["stages"][1]["started"] <= result["stages"][1]["ended"]
    assert machine.mode("var/lib/mig-k8s/result.json") == "0o600"


def test_a_second_converge_runs_no_stage(machine: Machine) -> None:
    machine.run("mig-k8s", "converge")
    machine.runs()
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == []


def test_only_the_stage_whose_inputs_changed_runs_again(machine: Machine) -> None:
    machine.run("mig-k8s", "converge")
    machine.runs()
    machine.write("etc/rancher/rke2/config.yaml", "cni: canal\n", 0o600)
    machine.run("mig-k8s", "converge")
    assert machine.runs() == ["rke2"]
    machine.desired(mig={"mode": [False]})
    machine.run("mig-k8s", "converge")
    assert machine.runs() == ["mig-mode", "rke2"]  # desired() also writes config.yaml back


def test_every_stage_looks_again_after_a_boot(machine: Machine) -> None:
    machine.run("mig-k8s", "converge")
    machine.runs()
    machine.boot(SECOND_BOOT)
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == list(STAGES)


def test_a_stage_gets_its_part_of_desired_json(machine: Machine) -> None:
    for name in STAGES:
        machine.stage(name, "env | grep -E '^(APT|DRIVER|TOOLKIT|MIG_MODE|RKE2)' | sort >>$STATE/env\necho done ok")
    machine.run("mig-k8s", "converge")
    assert (machine.state / "env").read_text(encoding="utf-8").split("\n")[:-1] == [
        "APT_UBUNTU=",
        "DRIVER_BRANCH=580",
        "DRIVER_OPEN=0",
        "DRIVER_SOURCE=ubuntu",
        "TOOLKIT_APT=https://nvidia.github.io/libnvidia-container",
        "TOOLKIT_VERSION=1.20.0-1",
        "MIG_MODE=1",
        "RKE2_ARTIFACTS=",
        "RKE2_CIS=0",
        "RKE2_GPU=1",
        "RKE2_INSTALL=https://get.rke2.io",
        "RKE2_ROLE=server",
        "RKE2_SHA256=",
        "RKE2_TOKEN=0",
        "RKE2_VERSION=v1.35.7+rke2r1",
    ]


def test_a_machine_without_gpu_skips_three_stages_and_says_why(machine: Machine) -> None:
    machine.desired(driver=None, toolkit=None, mig=None)
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == ["apt", "rke2"]
    assert machine.outcomes() == {
        "apt": "done",
        "driver": "skipped",
        "toolkit": "skipped",
        "mig-mode": "skipped",
        "rke2": "done",
    }
    assert machine.reason("mig-mode") == "this machine has no GPU"


@pytest.mark.parametrize("broken", ["apt", "driver", "toolkit", "mig-mode"])
def test_rke2_comes_up_whatever_else_is_broken_and_ready_says_what_is(machine: Machine, broken: str) -> None:
    machine.stage(broken, "echo the log says why >&2\necho failed it is broken\nexit 1")
    ended = machine.run("mig-k8s", "ready")
    assert ended.returncode == 1
    assert machine.outcomes()["rke2"] == "done"
    assert f"{broken} failed: it is broken" in ended.stderr
    assert "the log says why" not in ended.stderr
    assert "mlops-k8s-master is not ready (log files: " in ended.stderr
    # Only what failed, with its reason: the result file is for a machine that is ready.
    assert ended.stdout == ""
    assert machine.result()["state"] == "failed"


def test_mig_mode_is_not_tried_without_a_driver_and_is_when_there_is_one(machine: Machine) -> None:
    machine.stage("driver", "echo failed no such package\nexit 1")
    machine.run("mig-k8s", "converge")
    assert machine.runs() == ["apt", "driver", "toolkit", "rke2"]
    assert machine.reason("mig-mode") == "not tried, because driver failed"
    machine.stage("driver", "echo done nvidia 580.159.04")
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == ["driver", "mig-mode"]


def test_a_failed_stage_runs_again_with_the_next_converge(machine: Machine) -> None:
    machine.stage("mig-mode", "[ -f $STATE/healed ] && echo done healed && exit 0\necho failed not yet\nexit 1")
    assert machine.run("mig-k8s", "converge").returncode == 1
    machine.runs()
    (machine.state / "healed").touch()
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == ["mig-mode"]


def test_rke2_looks_again_when_the_toolkit_came_after_it(machine: Machine) -> None:
    machine.stage("toolkit", "echo failed no key\nexit 1")
    machine.run("mig-k8s", "converge")
    assert machine.outcomes()["rke2"] == "done"
    machine.stage("toolkit", "echo done toolkit is well")
    machine.runs()
    assert machine.run("mig-k8s", "update", stdin=EMPTY).returncode == 0
    assert machine.runs() == ["toolkit", "rke2"]


def test_rke2_looks_again_also_when_converge_is_killed_right_after_the_toolkit(machine: Machine) -> None:
    machine.stage("toolkit", "echo failed no key\nexit 1")
    machine.run("mig-k8s", "converge")
    machine.stage("toolkit", "[ -f $STATE/again ] || { touch $STATE/again; kill -9 $PPID; }\necho done toolkit is well")
    machine.run("mig-k8s", "converge")
    machine.runs()
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == ["toolkit", "rke2"]


def test_a_script_that_dies_without_a_word_fails_with_its_last_log_line(machine: Machine) -> None:
    machine.stage("driver", "echo progress installing\necho 'E: no space left on device' >&2\nexit 100")
    machine.run("mig-k8s", "converge")
    assert machine.reason("driver") == "its script ended with 100: E: no space left on device"


def test_a_script_that_reports_done_but_dies_has_failed(machine: Machine) -> None:
    machine.stage("driver", "echo done so it says\nkill -9 $$")
    machine.run("mig-k8s", "converge")
    assert machine.outcomes()["driver"] == "failed"


def test_a_script_that_is_missing_is_a_failure_with_a_remedy(machine: Machine) -> None:
    (machine.root / "usr/local/lib/mig-k8s/stages/toolkit").unlink()
    machine.run("mig-k8s", "converge")
    assert machine.outcomes()["toolkit"] == "failed"
    assert "run `pulumi up` to write it again" in machine.reason("toolkit")


def test_progress_and_reasons_are_free_of_colours_and_control_characters(machine: Machine) -> None:
    machine.stage("apt", r"""printf 'progress \033[1;31mE:\033[0m 10%%\r 50%%\rdone\a\tso far\n'; echo done ok""")
    machine.stage("driver", r"""printf '\033[31mE: \033[0mno\bway\n' >&2; exit 100""")
    ended = machine.run("mig-k8s", "update", stdin=EMPTY)
    assert "apt        doneso far  0 s\n" in ended.stdout
    assert machine.reason("driver") == "its script ended with 100: E: noway"
    assert not re.search(r"[^\n -~]", ended.stdout + ended.stderr)


def test_what_a_stage_did_is_kept_when_later_runs_find_nothing_to_do(machine: Machine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE.replace("done GPU", "unchanged GPU"))
    assert machine.run("mig-k8s", "converge").returncode == -9
    first = {stage["name"]: stage for stage in machine.result()["stages"]}
    assert set(first["driver"]["worked"]) == {"started", "ended", "seconds", "outcome", "boot_id"}
    machine.boot(SECOND_BOOT)
    for name in ("apt", "driver", "toolkit"):
        machine.stage(name, "echo unchanged all is well")
    assert machine.run("mig-k8s", "converge").returncode == 0
    second = {stage["name"]: stage for stage in machine.result()["stages"]}
    for name in ("apt", "driver", "toolkit"):
        assert second[name]["outcome"] == "unchanged"
        assert second[name]["boot_id"] == SECOND_BOOT
        assert second[name]["worked"] == first[name]["worked"]
        assert second[name]["worked"]["boot_id"] == FIRST_BOOT
    reboot, rke2 = second["mig-mode"]["worked"], second["rke2"]["worked"]
    assert (reboot["outcome"], reboot["boot_id"]) == ("reboot", FIRST_BOOT)
    assert (rke2["outcome"], rke2["boot_id"]) == ("done", SECOND_BOOT)


# ---- a disk that fills up


def fill_disk(machine: Machine, name: str) -> None:
    """From now on mig-k8s finds no room for the content of files of this name."""
    script = machine.root / "usr/local/sbin/mig-k8s"
    text = script.read_text(encoding="utf-8")
    fsync = "os.fsync(stream.fileno())"
    assert text.count(fsync) == 1
    full = f"{fsync} if path.name != {name!r} else os.write(os.open('/dev/full', os.O_WRONLY), b'x')"
    script.write_text(text.replace(fsync, full), encoding="utf-8")


ROOM = "No space left on device. Make room on the machine (`df -h`, "


@pytest.mark.parametrize("command", ["update", "ready"])
def test_a_disk_that_is_full_is_told_and_the_old_result_is_kept(machine: Machine, command: str) -> None:
    machine.run("mig-k8s", "converge")
    before = machine.read("var/lib/mig-k8s/result.json")
    machine.desired(mig={"mode": [False]})
    fill_disk(machine, "result.json")
    ended = machine.run("mig-k8s", command, stdin=EMPTY)
    assert ended.returncode == 1
    assert f"cannot write {machine.root}/var/lib/mig-k8s/result.json: {ROOM}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert machine.read("var/lib/mig-k8s/result.json") == before
    assert [path.name for path in (machine.root / "var/lib/mig-k8s").iterdir()] == ["result.json"]


def test_a_disk_that_fills_up_in_the_middle_names_the_stage_and_the_next_run_goes_on(machine: Machine) -> None:
    script = machine.root / "usr/local/sbin/mig-k8s"
    roomy = script.read_text(encoding="utf-8")
    fill_disk(machine, "result.json")
    full = script.read_text(encoding="utf-8").replace("path.name !=", "not (ROOT / 'full').exists() or path.name !=")
    script.write_text(full, encoding="utf-8")
    machine.stage("toolkit", "touch $MIG_K8S_ROOT/full\necho done toolkit is well")
    ended = machine.run("mig-k8s", "update", stdin=EMPTY)
    assert ended.returncode == 1
    assert "mlops-k8s-master is not ready" in ended.stderr
    assert f"toolkit failed: cannot write {machine.root}/var/lib/mig-k8s/result.json: {ROOM}" in ended.stderr
    assert machine.outcomes() == {"apt": "done", "driver": "done", "toolkit": "running"}
    script.write_text(roomy, encoding="utf-8")
    machine.runs()
    assert machine.run("mig-k8s", "ready").returncode == 0
    assert machine.runs() == ["toolkit", "mig-mode", "rke2"]


def test_a_disk_without_room_for_the_bundle_leaves_the_old_files(machine: Machine) -> None:
    before = machine.read("etc/mig-k8s/desired.json")
    fill_disk(machine, "desired.json")
    ended = machine.run("mig-k8s", "update", stdin=bundle(**{"/etc/mig-k8s/desired.json": "{}"}))
    assert ended.returncode == 1
    assert f"mig-k8s: cannot write {machine.root}/etc/mig-k8s/desired.json: {ROOM}" in ended.stderr
    assert machine.read("etc/mig-k8s/desired.json") == before
    assert [path.name for path in (machine.root / "etc/mig-k8s").iterdir()] == ["desired.json"]
    assert machine.runs() == []


def test_a_disk_that_is_full_when_a_reboot_is_due_locks_nobody_out(machine: Machine) -> None:
    script = machine.root / "usr/local/sbin/mig-k8s"
    fill_disk(machine, "result.json")
    full = script.read_text(encoding="utf-8").replace("path.name !=", "not NOLOGIN.exists() or path.name !=")
    script.write_text(full, encoding="utf-8")
    machine.stage("mig-mode", REBOOT_ONCE)
    assert machine.run("mig-k8s", "update", stdin=EMPTY).returncode == 1
    assert not (machine.root / "run/nologin").exists()
    assert machine.calls("systemctl reboot") == []


def test_a_stage_without_room_says_what_to_do(machine: Machine) -> None:
    machine.stage("driver", "echo 'cat: write error: No space left on device' >&2\nexit 1")
    machine.run("mig-k8s", "converge")
    assert machine.reason("driver") == (
        "its script ended with 1: cat: write error: No space left on device. Make room on the machine (`df -h`, "
        "`sudo journalctl --vacuum-size=100M`), then `pulumi up` again"
    )


def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_converge(machine: Machine) -> None:
    machine.stage("driver", "sleep 25 &\necho done started a daemon")
    assert machine.run("mig-k8s", "converge", seconds=10).returncode == 0


def test_update_writes_what_differs_and_says_how_far_it_is(machine: Machine) -> None:
    machine.stage("driver", "echo progress installing nvidia 580\necho done nvidia 580.159.04")
    text = bundle(
        **{"/etc/mig-k8s/desired.json": json.dumps(DESIRED, indent=1), "/etc/rancher/rke2/token": "tell-nobody"}
    )
    ended = machine.run("mig-k8s", "update", stdin=text)
    assert ended.returncode == 0, ended.stderr
    lines = [re.sub(r"  \d+ s$", "", line) for line in ended.stdout.splitlines()]
    assert lines == [
        "files      2 written",
        "apt        done: apt is well",
        "driver     installing nvidia 580",
        "driver     done: nvidia 580.159.04",
        "toolkit    done: toolkit is well",
        "mig-mode   done: mig-mode is well",
        "rke2       done: rke2 is well",
    ]
    assert machine.read("etc/rancher/rke2/token") == "tell-nobody"
    assert machine.mode("etc/rancher/rke2/token") == "0o600"
    assert "tell-nobody" not in ended.stdout + ended.stderr + json.dumps(machine.result())


def test_a_second_update_does_nothing(machine: Machine) -> None:
    machine.run("mig-k8s", "update", stdin=EMPTY)
    machine.runs()
    before = machine.read("var/lib/mig-k8s/result.json")
    ended = machine.run("mig-k8s", "update", stdin=EMPTY)
    assert (ended.returncode, ended.stdout) == (0, "files      0 written\n")
    assert machine.runs() == []
    assert machine.read("var/lib/mig-k8s/result.json") == before


def test_update_reloads_systemd_only_when_a_unit_changed(machine: Machine) -> None:
    machine.run("mig-k8s", "update", stdin=bundle(**{"/etc/motd": "x"}))
    assert machine.calls("systemctl daemon-reload") == []
    machine.run("mig-k8s", "update", stdin=bundle(**{"/etc/systemd/system/mig-k8s-converge.service": "[Unit]\n"}))
    assert machine.calls("systemctl daemon-reload") == ["systemctl daemon-reload"]
    enable = "systemctl enable mig-k8s-converge.service mig-k8s-instances.service"
    assert enable in machine.calls("systemctl enable")


def test_an_update_of_mig_k8s_itself_goes_on_as_the_new_one(machine: Machine) -> None:
    program = machine.root / "usr/local/sbin/mig-k8s"
    new = program.read_text(encoding="utf-8").replace("is ready (log", "is ready (newer; log") + "\n# newer\n"
    text = json.dumps({"version": 1, "files": [{"path": "/usr/local/sbin/mig-k8s", "mode": "0755", "content": new}]})
    machine.stage("apt", "echo failed on purpose\nexit 1")
    ended = machine.run("mig-k8s", "update", stdin=text)
    assert ended.returncode == 1
    assert ended.stdout.startswith("files      1 written\n")
    assert ended.stdout.count("written") == 1
    assert program.read_text(encoding="utf-8").endswith("# newer\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not json tell-nobody", "the bundle on standard input is not understood (JSONDecodeError)"),
        ('{"version":2,"files":[]}', "the bundle has version 2, this mig-k8s understands 1"),
        (
            '{"version":1,"files":[{"path":"etc/x","mode":"0600","content":""}]}',
            "names 'etc/x', which is not an absolute",
        ),
        ('{"version":1,"files":[{"path":"/etc/../x","mode":"0600","content":""}]}', "which is not an absolute path"),
        ('{"version":1,"files":[{"path":"/etc/x"}]}', "the bundle on standard input is not understood (KeyError)"),
    ],
)
def test_a_wrong_bundle_is_refused_before_anything_is_written(machine: Machine, text: str, said: str) -> None:
    ended = machine.run("mig-k8s", "update", stdin=text)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "tell-nobody" not in ended.stderr
    assert machine.runs() == []


def test_update_joins_a_converge_that_runs_and_then_does_what_it_missed(machine: Machine, wait_until: Wait) -> None:
    machine.stage("apt", "touch $STATE/begun\nuntil [ -f $STATE/go ]; do sleep 0.05; done\necho done apt")
    machine.run("systemctl", "start", "mig-k8s-converge.service")
    wait_until((machine.state / "begun").exists, "the first converge to begin")
    changed = {**DESIRED, "driver": {**DESIRED["driver"], "branch": 595}}
    follower = subprocess.Popen(
        [str(machine.root / "usr/local/sbin/mig-k8s"), "update"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=machine.environment,
        text=True,
    )
    assert follower.stdin is not None
    follower.stdin.write(bundle(**{"/etc/mig-k8s/desired.json": json.dumps(changed)}))
    follower.stdin.close()
    wait_until(lambda: "595" in machine.read("etc/mig-k8s/desired.json"), "the bundle to be written")
    (machine.state / "go").touch()
    assert follower.wait(60) == 0
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode", "rke2", "driver"]


REBOOT_ONCE = """
    if [ "$(cat $MIG_K8S_ROOT/proc/sys/kernel/random/boot_id)" = 11111111-1111-1111-1111-111111111111 ]; then
      echo reboot MIG mode of GPU 0 changes only with a reboot
    else
      echo done GPU 0 Enabled
    fi
"""


def test_update_does_not_repeat_a_run_that_knew_all_that_is_wanted(machine: Machine, wait_until: Wait) -> None:
    machine.stage("driver", "while [ ! -f $STATE/go ]; do sleep 0.02; done\necho failed it is broken\nexit 1")
    machine.run("systemctl", "start", "mig-k8s-converge.service")
    wait_until((machine.state / "runs").exists, "the first stage")
    update = subprocess.Popen(
        [str(machine.root / "usr/local/sbin/mig-k8s"), "update"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=machine.environment,
    )
    assert update.stdin is not None
    update.stdin.write(EMPTY)
    update.stdin.close()
    update.stdin = None
    assert update.stdout is not None
    assert [update.stdout.readline().split()[0] for _ in range(2)] == ["files", "apt"]  # it follows the run
    (machine.state / "go").touch()
    said, errors = update.communicate(timeout=60)
    assert update.returncode == 1
    assert machine.runs() == ["apt", "driver", "toolkit", "rke2"]
    assert said.count("failed: it is broken") == 1
    assert "mig-mode skipped: not tried, because driver failed" in errors


def test_one_reboot_is_handed_over_between_update_and_ready(machine: Machine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    # What pam_nologin and the next dial see: logins are closed before the follower is told.
    machine.program("systemctl", open_reboot(machine))
    ended = machine.run("mig-k8s", "update", stdin=EMPTY)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "reboot     the machine reboots now"
    assert machine.read("run/nologin").startswith("mig-k8s: this machine reboots")
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode"]
    machine.boot(SECOND_BOOT)
    (machine.root / "run/nologin").unlink()
    machine.end()
    machine.stage("mig-mode", REBOOT_ONCE)
    ready = machine.run("mig-k8s", "ready")
    assert ready.returncode == 0, ready.stderr
    assert json.loads(ready.stdout)["state"] == "done"
    assert machine.runs() == list(STAGES)


def test_a_second_reboot_is_handed_over_too(machine: Machine) -> None:
    machine.stage("driver", REBOOT_ONCE.replace("MIG mode of GPU 0 changes only with a reboot", "for the driver"))
    machine.stage("mig-mode", "echo reboot MIG mode of GPU 0 changes only with a reboot")
    machine.program("systemctl", open_reboot(machine))
    assert machine.run("mig-k8s", "update", stdin=EMPTY).returncode == 0
    machine.boot(SECOND_BOOT)
    (machine.root / "run/nologin").unlink()
    machine.end()
    ended = machine.run("mig-k8s", "resume")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == [
        "mig-mode   reboot: MIG mode of GPU 0 changes only with a reboot  0 s",
        "reboot     the machine reboots now",
    ]
    machine.boot(THIRD_BOOT)
    (machine.root / "run/nologin").unlink()
    machine.end()
    machine.stage("mig-mode", "echo unchanged GPU 0 Enabled")
    assert machine.run("mig-k8s", "ready").returncode == 0


def test_a_third_reboot_is_left_to_the_next_up(machine: Machine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    machine.program("systemctl", open_reboot(machine))
    ended = machine.run("mig-k8s", "ready")
    assert (ended.returncode, ended.stdout) == (75, "")
    assert "the machine is about to reboot; run `pulumi up` again, it goes on when the machine is back" in ended.stderr


def open_reboot(machine: Machine) -> str:
    """A systemctl whose reboot leaves the machine as it is the moment before it goes down."""
    text = (machine.programs / "systemctl").read_text(encoding="utf-8").split("\n", 2)[2]
    return text.replace('rm -rf "$MIG_K8S_ROOT/run"', "kill -9 $PPID; exit 0")


def test_converge_reboots_only_after_its_followers_have_gone(machine: Machine, wait_until: Wait) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    run = machine.root / "run/mig-k8s"
    run.mkdir(parents=True)
    follower = subprocess.Popen(["flock", "--shared", str(run / "followers"), "sleep", "60"], env=machine.environment)
    try:
        machine.run("systemctl", "start", "mig-k8s-converge.service")
        wait_until((machine.root / "run/nologin").exists, "logins to close")
        wait_until(lambda: machine.result()["state"] == "reboot", "the state reboot")
        assert machine.calls("systemctl reboot") == []
    finally:
        follower.kill()
        follower.wait()


def test_a_reboot_that_does_not_help_is_reported_and_not_repeated(machine: Machine) -> None:
    machine.stage("mig-mode", "echo reboot MIG mode of GPU 0 changes only with a reboot")
    assert machine.run("mig-k8s", "converge").returncode == -9  # the machine went down
    assert machine.calls("systemctl reboot") == ["systemctl reboot"]
    machine.runs()
    assert machine.run("mig-k8s", "converge").returncode == 1
    assert machine.calls("systemctl reboot") == ["systemctl reboot"]
    assert machine.reason("mig-mode") == (
        "MIG mode of GPU 0 changes only with a reboot; "
        "the machine was rebooted for this once, it did not help and is not repeated. "
        "When the cause is gone: `sudo reboot`, then `pulumi up`"
    )
    assert machine.outcomes()["rke2"] == "done"
    # Neither another run nor new scripts make it reboot again; another wish does.
    machine.stage("mig-mode", "echo reboot again")
    assert machine.run("mig-k8s", "converge").returncode == 1
    assert len(machine.calls("systemctl reboot")) == 1
    machine.desired(mig={"mode": [False]})
    assert machine.run("mig-k8s", "converge").returncode == -9
    assert len(machine.calls("systemctl reboot")) == 2


def test_a_run_killed_before_its_reboot_opens_logins_again_and_still_reboots_once(machine: Machine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    machine.program("systemctl", "kill -9 $PPID")  # killed the moment before
    machine.run("mig-k8s", "converge")
    assert (machine.root / "run/nologin").exists()
    assert machine.result()["state"] == "reboot"
    machine.stage("mig-mode", "[ -e $MIG_K8S_ROOT/run/nologin ] && touch $STATE/closed\n" + REBOOT_ONCE.strip())
    machine.program("systemctl", "rm -rf $MIG_K8S_ROOT/run; kill -9 $PPID")
    machine.run("mig-k8s", "converge")
    assert not (machine.state / "closed").exists()
    assert len(machine.calls("systemctl reboot")) == 2


def test_somebody_elses_nologin_is_left_alone(machine: Machine) -> None:
    machine.write("run/nologin", "maintenance until noon\n")
    machine.run("mig-k8s", "converge")
    assert machine.read("run/nologin") == "maintenance until noon\n"


def test_a_machine_that_cannot_reboot_says_so_and_brings_rke2_up(machine: Machine) -> None:
    machine.stage("mig-mode", REBOOT_ONCE)
    (machine.state / "no-reboot").touch()
    assert machine.run("mig-k8s", "converge").returncode == 1
    assert "did not reboot: Failed to connect to bus" in machine.reason("mig-mode")
    assert not (machine.root / "run/nologin").exists()
    assert machine.outcomes()["rke2"] == "done"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", STAGES)
def test_killed_around_any_stage_the_next_run_finishes(machine: Machine, victim: str, moment: str) -> None:
    effect = 'echo x >>"$STATE/effect-{0}"\n'
    kill = '[ -f "$STATE/killed" ] || {{ touch "$STATE/killed"; kill -9 $PPID; exit 1; }}\n'
    for name in STAGES:
        body = (kill, effect) if moment == "before" else (effect, kill)
        lines = body if name == victim else (effect,)
        machine.stage(name, "".join(lines).replace("{{", "{").replace("}}", "}").replace("{0}", name) + "echo done ok")
    assert machine.run("mig-k8s", "converge").returncode == -9
    before = machine.runs()
    assert before == list(STAGES[: STAGES.index(victim) + 1])
    assert machine.run("mig-k8s", "ready").returncode == 0
    assert machine.runs() == list(STAGES[STAGES.index(victim) :])
    assert all((machine.state / f"effect-{name}").exists() for name in STAGES)
    assert machine.result()["state"] == "done"


def test_a_result_file_torn_by_a_power_cut_is_written_anew(machine: Machine) -> None:
    machine.run("mig-k8s", "converge")
    machine.runs()
    machine.write("var/lib/mig-k8s/result.json", machine.read("var/lib/mig-k8s/result.json")[:100])
    assert machine.run("mig-k8s", "converge").returncode == 0
    assert machine.runs() == list(STAGES)


def test_ready_says_when_converge_ended_without_finishing(machine: Machine) -> None:
    machine.stage("driver", "kill -9 $PPID")
    ended = machine.run("mig-k8s", "ready")
    assert ended.returncode == 1
    assert "driver: not finished. `journalctl -u mig-k8s-converge.service` tells why" in ended.stderr


def test_status_tells_how_far_it_is_and_changes_nothing(machine: Machine) -> None:
    ended = machine.run("mig-k8s", "status")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == "left to do: apt, driver, toolkit, mig-mode, rke2"
    assert machine.runs() == []
    machine.run("mig-k8s", "converge")
    ended = machine.run("mig-k8s", "status")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == "everything is done"
    assert ended.stdout.splitlines()[1].startswith("driver     done: driver is well")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "is missing"), ("{", "is not understood"), ('{"version": 9}', "has version 9, this mig-k8s understands 1")],
)
def test_a_desired_json_that_cannot_be_used_is_told_without_a_traceback(
    machine: Machine, content: str | None, said: str
) -> None:
    if content is None:
        (machine.root / "etc/mig-k8s/desired.json").unlink()
    else:
        machine.write("etc/mig-k8s/desired.json", content)
    ended = machine.run("mig-k8s", "converge")
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
