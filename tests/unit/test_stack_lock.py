"""Whose lock is ended and whose is not, by what Pulumi says of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.engine import Engine
from scripts.stack import StackError
from scripts.stack_lock import end_lock

HOST = socket.gethostname()
CONFLICT = "error: [409] Conflict: Another update is currently in progress.\nTo learn more about possible reasons and …"


@dataclass(frozen=True, kw_only=True)
class Answering(Engine):
    """A Pulumi that says this where it has to take the lock."""

    said: str
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def tried(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        assert not stdin
        self.calls.append(arguments)
        if arguments[:2] == ("stack", "export"):
            return subprocess.CompletedProcess(arguments, 0, '{"deployment": {}}', "")
        status = int(arguments[0] == "refresh" and bool(self.said))
        return subprocess.CompletedProcess(arguments, status, "", self.said)


def engine(said: str) -> Answering:
    return Answering(stack="prod", folder=Path(), variables={}, said=said)


def locked(host: str, pid: int) -> str:
    """The error about a lock as pkg/backend/diy/lock.go words it."""
    return (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
        "lock file with `pulumi cancel`.\n  azblob://state/.pulumi/locks/organization/mig-k8s/prod/5b.json: "
        f"created by anna@{host} (pid {pid}) at 2026-11-27T18:00:00Z\n"
    )


@pytest.fixture
def living(tmp_path: Path) -> Iterator[int]:
    """A program of this name that runs."""
    program = tmp_path / "pulumi"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def dead() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_where_nobody_holds_the_stack_nothing_is_said_or_cancelled() -> None:
    pulumi = engine("")
    assert list(end_lock(pulumi, "")) == []
    assert [call[0] for call in pulumi.calls] == ["stack", "refresh"]


def test_the_lock_of_a_process_of_this_host_that_is_gone_is_cancelled(dead: int) -> None:
    pulumi = engine(locked(HOST, dead))
    whose = f"anna@{HOST}, process {dead}, since 2026-11-27T18:00:00Z"
    assert list(end_lock(pulumi, "")) == [f"lock: that of {whose} is cancelled"]
    assert pulumi.calls[-1] == ("cancel", "--yes")


def test_a_process_number_that_another_program_has_now_is_not_a_pulumi() -> None:
    pulumi = engine(locked(HOST, os.getpid()))
    assert len(list(end_lock(pulumi, ""))) == 1


@pytest.mark.parametrize("ended", ["", HOST])
def test_a_pulumi_that_works_keeps_its_lock_whatever_is_named(living: int, ended: str) -> None:
    pulumi = engine(locked(HOST, living))
    with pytest.raises(StackError, match=rf"locked by anna@{HOST}, process {living}, .* which works \(pulumi\)"):
        list(end_lock(pulumi, ended))
    assert ("cancel", "--yes") not in pulumi.calls


def test_the_lock_of_another_host_is_ended_only_by_its_name() -> None:
    pulumi = engine(locked("laptop", 4711))
    for ended in ("", "desktop", HOST):
        with pytest.raises(StackError, match=r"anna@laptop, process 4711, .* on another host.* LOCK=laptop$"):
            list(end_lock(pulumi, ended))
    assert ("cancel", "--yes") not in pulumi.calls
    assert list(end_lock(pulumi, "laptop")) == [
        "lock: that of anna@laptop, process 4711, since 2026-11-27T18:00:00Z is cancelled"
    ]


def test_of_two_locks_one_that_may_be_held_keeps_both(dead: int) -> None:
    pulumi = engine(locked(HOST, dead) + locked("laptop", 4711))
    with pytest.raises(StackError, match="LOCK=laptop"):
        list(end_lock(pulumi, ""))
    assert ("cancel", "--yes") not in pulumi.calls


def test_an_update_in_pulumi_cloud_is_ended_only_when_it_is_said() -> None:
    pulumi = engine(CONFLICT)
    with pytest.raises(StackError, match=r"Pulumi Cloud says that an update of prod is in progress\..* LOCK=cloud$"):
        list(end_lock(pulumi, ""))
    assert ("cancel", "--yes") not in pulumi.calls
    assert list(end_lock(pulumi, "cloud")) == ["lock: the update in Pulumi Cloud is cancelled"]


def test_an_error_that_is_not_about_a_lock_is_told_as_pulumi_says_it() -> None:
    pulumi = engine("error: incorrect passphrase")
    with pytest.raises(StackError, match="Pulumi cannot work on prod:\nerror: incorrect passphrase"):
        list(end_lock(pulumi, ""))
