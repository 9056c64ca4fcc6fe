"""Runs of converge that are killed, and runs that somebody else is following: processes of their own, in real time."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from a_machine import DESIRED, FIRST_BOOT
from calls import isolated_python
from staged import BESIDE, RUN, StagedMachine, configuration

from sandbox.process import started_with

pytestmark = pytest.mark.exhaustive

Wait = Callable[[Callable[[], bool], str], None]
COMMAND = (*isolated_python(), str(Path(__file__).with_name("mig_k8s.py")))
# Units start, and are active while their process lives; one that was killed may be a zombie for a while.
SYSTEMCTL = """
    lives() {{ [ -f "$STATE/pid" ] && grep -qs '^State:.[^Z]' "/proc/$(<"$STATE/pid")/status"; }}
    case "$1" in
      start)
        if ! lives; then
          setsid {command} "$MIG_K8S" converge >"$STATE/journal" 2>&1 & echo $! >"$STATE/pid"
        fi ;;
      is-active) if lives; then echo active; else echo inactive; exit 3; fi ;;
    esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[StagedMachine]:
    made = StagedMachine.below(tmp_path)
    made.program("systemctl", SYSTEMCTL.format(command=" ".join(COMMAND)))
    made.environment["MIG_K8S"] = str(tmp_path)
    yield made
    # What a failed test leaves: converge, and a stage that waits in a session of its own for what never comes.
    for process, folder in started_with("MIG_K8S"):
        if folder == str(tmp_path):
            process.kill()


def command(machine: StagedMachine, *words: str) -> list[str]:
    return [*COMMAND, str(machine.folder), *words]


def run(machine: StagedMachine, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(machine, *words), input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def start(machine: StagedMachine) -> None:
    """Have systemd start converge."""
    assert machine.systemctl("start", "mig-k8s-converge.service").succeeded


@contextlib.contextmanager
def running(words: Sequence[str], stdin: str) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", RUN)
def test_killed_around_any_stage_the_next_run_finishes(machine: StagedMachine, victim: str, moment: str) -> None:
    kill = '[ -f "$STATE/killed" ] || { : >"$STATE/killed"; kill -9 $PPID; exit 1; }'
    for name in RUN:
        effect = f'echo x >>"$STATE/effect-{name}"'
        lines = [effect] if name != victim else [kill, effect] if moment == "before" else [effect, kill]
        machine.stage(name, "\n".join([*lines, "echo done ok"]))
    assert run(machine, "converge").returncode == -9
    assert machine.runs() == list(RUN[: RUN.index(victim) + 1])
    assert run(machine, "converge").returncode == 0
    assert machine.runs() == list(RUN[RUN.index(victim) :])
    assert all((machine.state / f"effect-{name}").exists() for name in RUN)
    assert machine.result().state == "done"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", [BESIDE, "driver"])
def test_killed_while_two_stages_run_beside_each_other_the_next_run_finishes_both(
    machine: StagedMachine, victim: str, moment: str
) -> None:
    """Both are in the middle: each waits for the other, then one of them takes the run with it."""
    kill = '[ -f "$STATE/killed" ] || { : >"$STATE/killed"; kill -9 $PPID; exit 1; }'
    for name, other in ((BESIDE, "driver"), ("driver", BESIDE)):
        meet = f': >"$STATE/met-{name}"; until [ -f "$STATE/met-{other}" ]; do sleep 0.02; done'
        effect = f'echo x >>"$STATE/effect-{name}"'
        last = [effect] if name != victim else [kill, effect] if moment == "before" else [effect, kill]
        machine.stage(name, "\n".join([meet, *last, "echo done ok"]))
    assert run(machine, "converge").returncode == -9
    assert run(machine, "converge").returncode == 0
    assert machine.result().state == "done"
    assert {record.outcome for record in machine.result().stages} == {"done", "skipped"}
    assert all((machine.state / f"effect-{name}").exists() for name in (BESIDE, "driver"))


def test_rke2_looks_again_also_when_converge_is_killed_right_after_the_toolkit(machine: StagedMachine) -> None:
    machine.stage("toolkit", "echo failed no key\nexit 1")
    run(machine, "converge")
    machine.stage("toolkit", "[ -f $STATE/again ] || { touch $STATE/again; kill -9 $PPID; }\necho done toolkit is well")
    run(machine, "converge")
    machine.runs()
    assert run(machine, "converge").returncode == 0
    assert machine.runs() == ["toolkit", "rke2"]


def test_ready_says_when_converge_ended_without_finishing(machine: StagedMachine) -> None:
    machine.stage("driver", "kill -9 $PPID")
    ended = run(machine, "ready")
    assert ended.returncode == 1
    assert "driver: not finished. `journalctl -u mig-k8s-converge.service` tells why" in ended.stderr


def test_update_joins_a_converge_that_runs_and_then_does_what_it_missed(
    machine: StagedMachine, wait_until: Wait
) -> None:
    machine.stage("apt", "touch $STATE/begun\nuntil [ -f $STATE/go ]; do sleep 0.05; done\necho done apt")
    start(machine)
    wait_until((machine.state / "begun").exists, "the first converge to begin")
    changed = configuration(driver={**DESIRED["driver"], "branch": 595})
    with running(command(machine, "update"), changed) as update:
        wait_until(lambda: "595" in machine.read("etc/mig-k8s/desired.json"), "the desired state to be written")
        (machine.state / "go").touch()
        assert update.wait(60) == 0
    assert machine.runs() == ["apt", "driver", "toolkit", "mig-mode", "rke2", "driver"]


def test_update_does_not_repeat_a_run_that_knew_all_that_is_wanted(machine: StagedMachine, wait_until: Wait) -> None:
    machine.write("etc/mig-k8s/desired.json", json.dumps(json.loads(configuration())["desiredState"] | {"version": 1}))
    machine.stage("driver", "while [ ! -f $STATE/go ]; do sleep 0.02; done\necho failed it is broken\nexit 1")
    start(machine)
    wait_until((machine.state / "runs").exists, "the first stage")
    with running(command(machine, "update"), configuration()) as update:
        assert update.stdout is not None
        assert update.stdout.readline().split()[0] == "files"
        assert update.stdout.readline().split()[0] in ("apt", BESIDE)  # it follows the run
        (machine.state / "go").touch()
        said, errors = update.communicate(timeout=60)
    assert update.returncode == 1
    assert machine.runs() == ["apt", "driver", "toolkit", "rke2"]
    assert said.count("failed: it is broken") == 1
    assert "mig-mode skipped: not tried, because driver failed" in errors


def test_converge_reboots_only_after_its_followers_have_gone(machine: StagedMachine, wait_until: Wait) -> None:
    machine.stage("mig-mode", "echo reboot for the mode")
    followers = machine.path("run/mig-k8s/followers")
    followers.parent.mkdir(parents=True)
    with subprocess.Popen(["flock", "--shared", str(followers), "sleep", "60"], start_new_session=True) as follower:
        try:
            start(machine)
            wait_until(machine.path("run/nologin").exists, "logins to close")
            wait_until(lambda: machine.result().state == "reboot", "the state reboot")
            assert machine.calls("systemctl reboot") == []
        finally:
            os.killpg(follower.pid, signal.SIGKILL)
    wait_until(lambda: machine.calls("systemctl reboot") != [], "the reboot")


def test_a_converge_that_systemd_stops_ends_at_once_and_its_stage_is_left_to_do(
    machine: StagedMachine, wait_until: Wait
) -> None:
    machine.stage("driver", "echo $$ >$STATE/begun.new\nmv $STATE/begun.new $STATE/begun\nexec sleep 30")
    with running(command(machine, "converge"), "") as converge:
        wait_until((machine.state / "begun").exists, "the stage to begin")
        converge.send_signal(signal.SIGTERM)
        assert converge.wait(10) == 1
        os.kill(int((machine.state / "begun").read_text(encoding="ascii")), signal.SIGKILL)  # as systemd does
    assert machine.outcomes() == {"apt": "done", "driver": "running"}
    assert machine.record("driver").boot_id == FIRST_BOOT
