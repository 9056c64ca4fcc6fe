"""`apply` that is ended on the way, on a node that runs: by a signal, by SIGKILL, by a power cut."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from a_live_node import RUNNING, LiveNode
from calls import Called, call, call_process
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, gpu_layout, layout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from killable_machine import KillableMachine, PowerCut

pytestmark = pytest.mark.exhaustive

DCGM = "nvidia-dcgm.service"


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_ended_by_a_signal_it_gives_back_what_was_there(gpus: Callable[..., Gpus], signal: str) -> None:
    a100 = gpus("A100-80GB")
    a100.enable()
    call(a100.machine, "apply", stdin=layout(SEVEN))
    before = a100.places()
    # In the middle of the change: everything is removed; the signal comes while nvidia-smi makes the first.
    fate = {"matching": "nvidia-smi .*-cgi 9:4", "at": 1, "when": "before", "what": signal}
    ended = call_process(a100.machine, "apply", stdin=layout(TUTORIAL), fate=fate)
    assert ended.status == 1
    assert f"ended by {signal}" in ended.stderr
    assert "a GPU that was just being changed was given back what it had; the next run goes on" in ended.stderr
    assert a100.places() == before


def test_ended_while_it_empties_a_gpu_it_gives_back_what_was_there(a100: Gpus) -> None:
    """Some instances are gone for good then, and are made again."""
    call(a100.machine, "apply", stdin=layout(SEVEN))
    before = a100.places()
    fate = {"matching": "nvidia-smi .*-dgi", "at": 3, "when": "after", "what": "SIGTERM"}
    ended = call_process(a100.machine, "apply", stdin=layout(gpu_layout()), fate=fate)
    assert (ended.status, a100.places()) == (1, before)
    assert "ended by SIGTERM" in ended.stderr


class Killed:
    """A live node with a service that holds the GPU; every trial begins with seven devices again."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.machine = KillableMachine.below(folder)
        self.live = LiveNode(Gpus(self.machine, program, ("A100-80GB",)))
        self.machine.systemd.set(active=["rke2-server.service", DCGM])
        self.saved = folder / "saved"
        for name in ("state", "root"):
            shutil.copytree(folder / name, self.saved / name)

    def begin(self) -> None:
        self.machine.revive()
        for name in ("state", "root"):
            shutil.rmtree(self.machine.folder / name)
            shutil.copytree(self.saved / name, self.machine.folder / name)

    def apply(self) -> Called:
        return call(self.machine, "apply", stdin=layout(FOUR_STAY))

    def is_as_before(self) -> bool:
        return self.live.gpus.places() == [f"19:{start}" for start in range(7)]

    def is_changed(self) -> bool:
        return self.live.gpus.places() == ["19:0", "19:1", "19:2", "19:3", "9:4"]

    def check_everything_runs(self) -> None:
        assert self.machine.api.labels() == {**RUNNING, "other": "true"}
        assert sorted(self.machine.systemd.active) == [DCGM, "rke2-server.service"]
        assert not self.live.mark.exists()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, gpu_program: Path) -> Killed:
    return Killed(tmp_path_factory.mktemp("killed"), gpu_program)


TRIALS = settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOMENT = st.sampled_from(["before", "after"])


@TRIALS
@given(at=st.integers(min_value=1, max_value=45), when=MOMENT)
def test_killed_at_any_program_it_runs_the_next_run_goes_on_and_everything_runs(
    killed: Killed, at: int, when: str
) -> None:
    killed.begin()
    four = killed.live.gpus.state()[:4]
    killed.machine.doom("power cut", at=at, when=when)
    with contextlib.suppress(PowerCut):
        killed.apply()
    killed.machine.revive()
    assert killed.live.gpus.state()[:4] == four, "what can stay was touched"
    ended = killed.apply()
    assert ended.status == 0, ended.stderr
    assert killed.is_changed()
    assert killed.live.gpus.state()[:4] == four
    killed.check_everything_runs()


@TRIALS
@given(at=st.integers(min_value=1, max_value=45), when=MOMENT)
def test_interrupted_at_any_program_it_runs_nothing_stays_paused_and_the_gpu_is_as_it_was_or_right(
    killed: Killed, at: int, when: str
) -> None:
    killed.begin()
    killed.machine.doom("interrupted", at=at, when=when)
    ended = killed.apply()
    assert ended.status == 0 or "ended by SIGTERM" in ended.stderr
    killed.machine.revive()
    assert killed.is_as_before() or killed.is_changed()
    killed.check_everything_runs()


def test_killed_before_the_clients_run_again_it_has_noted_what_is_paused(killed: Killed) -> None:
    killed.begin()
    fate = {"matching": "nvidia-smi .*-cgi", "at": 1, "when": "after", "what": "SIGKILL"}
    assert call_process(killed.machine, "apply", stdin=layout(FOUR_STAY), fate=fate).status == -9
    assert killed.live.mark.read_text(encoding="utf-8").split() == ["kubernetes", DCGM]
    assert json.loads(killed.machine.read("etc/mig-k8s/layout.json"))["gpus"][0]["instances"][6]["start"] == 6
    assert call(killed.machine, "start-clients").status == 0
    killed.check_everything_runs()


@pytest.fixture
def held_lock(killed: Killed) -> Iterator[TextIO]:
    """Another command changes the GPUs."""
    killed.begin()
    path = killed.machine.path("/run/mig-k8s/mig-apply")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield holder


def test_a_second_command_waits_for_the_first(killed: Killed, held_lock: TextIO) -> None:
    killed.machine.clock.at(600, lambda: fcntl.flock(held_lock, fcntl.LOCK_UN))
    ended = killed.apply()
    assert ended.status == 0
    assert "another command changes the GPUs of this machine: waiting for its end\n" in ended.stderr
    assert killed.is_changed()


@pytest.mark.parametrize("words", [("apply",), ("apply", "--dry-run"), ("modes",), ("boot",), ("start-clients",)])
def test_a_command_that_does_not_end_is_not_waited_for_for_ever(
    killed: Killed, held_lock: TextIO, words: tuple[str, ...]
) -> None:
    assert not held_lock.closed
    stuck = call(killed.machine, *words, stdin=layout(FOUR_STAY))
    assert (stuck.status, killed.is_as_before()) == (1, True)
    assert "another command has been changing the GPUs of this machine for 30 minutes" in stuck.stderr
