"""What every command on a machine relies on: files in one step, locks, signals, programs, the clock."""

import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.host import files, lock, signals
from machine.host.clock import Clock
from machine.host.console import one_line, plain, report, say
from machine.host.errors import DiskError
from machine.host.program import HUNG, MISSING, run
from machine.host.this_machine import ThisMachine

ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Hours(Clock):
    """A clock that a test moves: sleeping is its only way to pass."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def test_a_written_file_has_its_content_its_mode_and_no_draft_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "token"
    files.write(path, "größe\n", 0o600)
    assert path.read_text(encoding="utf-8") == "größe\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]


def test_a_file_that_cannot_be_written_is_as_it_was_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    folder = tmp_path / "file" / "is" / "no" / "folder"
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"cannot write .*: Not a directory\. Make room on the machine"):
        files.write(folder, "new", 0o600)
    with pytest.raises(UnicodeEncodeError):  # in the middle of writing
        files.write(path, "\udc80", 0o600)
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "result.json"]


def test_only_a_changed_content_or_mode_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.write_if_changed(path, "a", 0o600) is True
    inode = path.stat().st_ino
    assert files.write_if_changed(path, "a", 0o600) is False
    assert path.stat().st_ino == inode
    assert files.write_if_changed(path, "a", 0o644) is True
    assert files.write_if_changed(path, "b", 0o644) is True


def test_a_lock_held_elsewhere_is_waited_for_and_given_up_after_its_time(tmp_path: Path) -> None:
    clock, told = Hours(), []
    with lock.held(tmp_path / "lock", clock, seconds=0) as mine:
        assert mine is True
        with lock.held(tmp_path / "lock", clock, seconds=60, told=lambda: told.append("waits")) as second:
            assert second is False
    assert told == ["waits"]
    assert 60 <= clock.seconds < 61
    with lock.held(tmp_path / "lock", clock, seconds=0) as mine:
        assert mine is True


def test_a_lock_that_is_shared_lets_others_share_and_nobody_have_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.shared(path), lock.shared(path), lock.held(path, Hours(), seconds=1) as mine:
        assert mine is False
    with lock.held(tmp_path / "lock", Hours(), seconds=0) as mine:
        assert mine is True


@pytest.fixture
def any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("any_umask")
def test_locks_and_state_lie_in_folders_that_only_their_owner_can_write_to(tmp_path: Path) -> None:
    with lock.held(tmp_path / "a" / "lock", Hours(), seconds=0), lock.shared(tmp_path / "b" / "lock"):
        files.write(tmp_path / "c" / "state", "", 0o600)
    folders = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()}
    assert folders == {"a": "0o755", "b": "0o755", "c": "0o755"}


@pytest.mark.usefixtures("any_umask")
@pytest.mark.parametrize("older", [True, False])
def test_a_lock_can_be_opened_by_its_owner_alone(tmp_path: Path, older: bool) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    if older:
        for path in (alone, together):
            path.touch(mode=0o644)
    with lock.held(alone, Hours(), seconds=0), lock.shared(together):
        modes = [oct(stat.S_IMODE(path.stat().st_mode)) for path in (alone, together)]
    assert modes == ["0o600", "0o600"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unprivileged_user_cannot_hold_a_lock() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # as /run is
        path = Path(folder, "mig-k8s", "converge")
        with lock.held(path, Hours(), seconds=0):
            pass
        somebody = ["flock", "--shared", "--nonblock", str(path), "true"]
        ended = subprocess.run(somebody, user=65534, group=65534, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "Permission denied" in ended.stderr


@pytest.fixture
def handlers():  # noqa: ANN201
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_signal_is_an_exception_once_and_nothing_cuts_the_way_back_off() -> None:
    signals.raise_on_signals()
    with pytest.raises(signals.Interrupted, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_is_put_off_is_met_at_the_end() -> None:
    signals.raise_on_signals()
    steps = []

    def change() -> None:
        with signals.put_off():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("the change went on to its end")

    with pytest.raises(signals.Interrupted, match="SIGINT"):
        change()
    assert steps == ["the change went on to its end"]


@pytest.mark.usefixtures("handlers")
def test_a_signal_that_another_thread_gets_is_put_off_too() -> None:
    signals.raise_on_signals()
    steps = []

    begun = threading.Event()

    def send() -> None:  # a thread that was there before blocks nothing
        begun.wait(20)
        signal.raise_signal(signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()

    def change() -> None:
        with signals.put_off():
            begun.set()
            sender.join()
            steps.append("the change went on to its end")

    with pytest.raises(signals.Interrupted, match="SIGTERM"):
        change()
    assert steps == ["the change went on to its end"]


@pytest.mark.usefixtures("handlers")
def test_a_program_that_is_started_while_signals_are_put_off_does_not_get_them() -> None:
    with signals.put_off():
        ended = run(["sh", "-c", "kill -TERM $$; echo went on"], environment=ENVIRONMENT, seconds=20)
    assert ended.stdout == "went on\n"


@pytest.mark.usefixtures("handlers")
def test_signals_that_are_ignored_count_again_afterwards() -> None:
    signals.raise_on_signals()
    with signals.ignored():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(signals.Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_program_gets_only_the_environment_it_is_given_and_tells_all_it_said() -> None:
    os.environ["OF_THE_CALLER"] = "1"
    try:
        ended = run(["sh", "-c", "env; cat; echo why >&2; exit 7"], environment=ENVIRONMENT, seconds=20, stdin="in\n")
    finally:
        del os.environ["OF_THE_CALLER"]
    assert "OF_THE_CALLER" not in ended.stdout
    assert ended.stdout.endswith("in\n")
    assert (ended.status, ended.stderr, ended.succeeded) == (7, "why\n", False)


def test_a_program_that_is_missing_or_hangs_has_ended_and_says_so() -> None:
    missing = run(["/no/such/program"], environment=ENVIRONMENT, seconds=20)
    assert (missing.status, missing.stderr) == (MISSING, "`/no/such/program` cannot be run: No such file or directory")
    hung = run(["sleep", "60"], environment=ENVIRONMENT, seconds=0.2)
    assert (hung.status, hung.stderr) == (HUNG, "`sleep 60` did not end within 0 s")


def test_output_that_is_not_utf_8_is_replaced_and_never_raises() -> None:
    ended = run(["printf", r"\377ok"], environment=ENVIRONMENT, seconds=20)
    assert ended.stdout == "\ufffdok"


def test_waiting_asks_at_least_once_and_ends_at_its_bound() -> None:
    clock = Hours()
    assert clock.wait(lambda: True, 0) is True
    assert clock.slept == []
    assert clock.wait(lambda: False, 5) is False
    assert clock.slept == [1.0] * 6
    assert clock.wait(lambda: clock.seconds > 8, 60, pause=0.5) is True


def test_a_machine_knows_its_boot_its_paths_and_the_units_that_run(tmp_path: Path) -> None:
    root, programs = tmp_path / "root", tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text("#!/bin/sh\necho active\necho inactive\necho activating\nexit 3\n")
    (programs / "systemctl").chmod(0o755)
    machine = ThisMachine(root, {"PATH": f"{programs}:{os.environ['PATH']}"})
    files.write(machine.path("/proc/sys/kernel/random/boot_id"), "1111\n", 0o644)
    assert machine.boot_id() == "1111"
    assert machine.path("/etc/hosts") == root / "etc/hosts"
    assert machine.active_units("a.service", "b.service", "c.service") == ["a.service", "c.service"]
    assert machine.node_name() is None


def test_words_of_tools_become_one_plain_line() -> None:
    assert one_line(" first \n\n second\n") == "first / second"
    assert one_line(" \n") == "nothing"
    assert plain("\x1b[31mred\x1b[0m\tend\x07") == "redend"
    assert plain("10 %\r50 %\r100 %") == "100 %"


def test_a_reader_that_is_gone_does_not_stop_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert say("words") is True
    monkeypatch.setattr(sys, "stderr", Gone())
    assert say("words") is False
    report("words\n")
