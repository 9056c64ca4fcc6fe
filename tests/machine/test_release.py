"""A release on its way to a machine: whole or not at all, whatever happens."""

import base64
import bz2
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from a_machine import DESIRED, FakeClock
from delivered import Receiver, changed, small, write

from machine.documents.manifest import FILE
from machine.host.errors import MachineError, UsageError
from machine.release import storage
from machine.release.check import is_whole
from machine.release.install import install
from plan.machine.delivery import delivery, delivery_command
from plan.machine.release import Release, first_release, release

OLD = changed("machine/release/__init__.py", '"""The release before."""\n')
NEW = release()
FIRST = first_release()
BOTH = ["current", *sorted(f"releases/{each.name}" for each in (OLD, NEW))]
SMALL = small()
SMALL_OLD = changed("stages/apt", "true\n", SMALL)
UNIT = "etc/systemd/system/mig-k8s-converge.service"
GONE = "incoming.99999999"
"""Where a process unpacked a release that lives no more: no process has such a number."""
ENABLE = "systemctl enable mig-k8s-converge.service mig-k8s-instances.service mig-k8s-pods.service"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a machine that runs the release before, to be copied."""
    folder = tmp_path_factory.mktemp("installed")
    assert Receiver.below(folder).install(OLD) == 0
    return folder


@pytest.fixture
def machine(tmp_path: Path, installed: Path) -> Receiver:
    """A machine that runs the release before."""
    shutil.copytree(installed, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Receiver(tmp_path / "root")


def test_a_release_becomes_current_with_its_entry_points_and_units(tmp_path: Path) -> None:
    machine = Receiver.below(tmp_path)
    assert machine.install(NEW) == 0
    assert machine.current() == NEW.name
    assert (machine.home / "current").readlink() == Path("releases", NEW.name)
    assert machine.entries() == ["current", f"releases/{NEW.name}"]
    for name, words in (("mig-k8s", ""), ("mig-apply", " apply"), ("mig-verify", " verify")):
        path = machine.path(f"usr/local/sbin/{name}")
        assert path.stat().st_mode & 0o777 == 0o755
        assert path.read_text(encoding="utf-8") == (
            f'#!/bin/sh\nexec /usr/bin/python3 -I -B "$(readlink -f /usr/local/lib/mig-k8s/current)"{words} "$@"\n'
        )
    assert machine.path(UNIT).stat().st_mode & 0o777 == 0o644
    assert machine.calls == ["systemctl daemon-reload", ENABLE]


def test_the_same_release_again_changes_nothing_and_reloads_nothing(machine: Receiver) -> None:
    machine.install(NEW)
    machine.calls.clear()
    before = machine.path(UNIT).stat().st_mtime_ns
    assert machine.install(NEW) == 0
    assert machine.path(UNIT).stat().st_mtime_ns == before
    assert machine.calls == [ENABLE]
    assert machine.entries() == BOTH


def test_a_unit_that_differs_is_written_and_systemd_reads_it(machine: Receiver) -> None:
    machine.put(UNIT, "[Unit]\nDescription=of an older machine\n")
    machine.install(NEW)
    assert "ExecStart=/usr/local/lib/mig-k8s/current/entry-points/mig-k8s converge\n" in machine.path(UNIT).read_text()
    assert machine.calls == ["systemctl daemon-reload", ENABLE]


# ---- cut off


@pytest.mark.exhaustive
def test_cut_off_at_any_byte_the_old_release_runs_and_the_next_delivery_cleans_up(machine: Receiver) -> None:
    """Over the real command, fed with the beginning of the release."""
    sent = delivery(NEW)
    steps = {len(sent) * step // 4 for step in range(4)}
    # And where a part is whole and the next is not, as at the end of bzip2. What only fills base64 up is not a part.
    whole = len(sent.rstrip("="))
    for length in sorted(steps | {1, 4} | set(range(whole - 16, whole))):
        ended = machine.deliver(sent[:length])
        assert ended.returncode != 0, f"{length} of {len(sent)} characters were taken for a release"
        assert machine.current() == OLD.name, length
        assert machine.entries() == ["current", f"releases/{OLD.name}"], length
    left = "left to do: apt, driver, fabric-manager, toolkit, mig-mode, rke2-download, rke2"
    assert machine.status().stdout.splitlines()[-1] == left
    ended = machine.deliver(sent)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == f"release        {NEW.name} is current\n"
    assert machine.current() == NEW.name
    assert machine.entries() == BOTH
    left = "left to do: apt, driver, fabric-manager, toolkit, mig-mode, rke2-download, rke2"
    assert machine.status().stdout.splitlines()[-1] == left


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("", "ValueError: zip() argument 2 is shorter than argument 1"),
        (delivery(NEW)[:20001], "binascii.Error: "),
        (delivery(NEW)[:20000], "ValueError: Compressed data ended before the end-of-stream marker was reached"),
        ("bm90IGEgdGFyCg==", "OSError: Invalid data stream"),
        (base64.b64encode(bz2.compress(b"no release" * 99)).decode(), "ValueError: zip() argument 2 is shorter "),
        (base64.b64encode(bz2.compress(b"a\x00rwx\x00text")).decode(), "ValueError: invalid literal for int() "),
    ],
    ids=["nothing", "torn in base64", "torn in bzip2", "not packed", "no files", "no mode"],
)
def test_what_did_not_arrive_whole_is_told_in_two_lines(machine: Receiver, sent: str, seen: str) -> None:
    ended = machine.deliver(sent)
    assert ended.returncode == 1
    what, todo = ended.stderr.splitlines()
    assert what.startswith(seen)
    assert todo == "the release did not arrive whole; run it again"
    assert machine.entries() == ["current", f"releases/{OLD.name}"]


def test_a_release_that_was_changed_on_its_way_is_refused(machine: Receiver) -> None:
    contents = {**NEW.contents, "stages/apt": NEW.contents["stages/apt"] + "true\n"}
    ended = machine.deliver(delivery(Release(contents=contents, name=NEW.name)))
    assert ended.returncode != 0
    assert "is not whole: its files are " in ended.stderr
    assert machine.current() == OLD.name
    assert machine.entries() == ["current", f"releases/{OLD.name}"]


class DeadError(BaseException):
    """The process has been killed: it changes nothing on the disk from now on."""


class Death:
    """Ends this process's writing at a certain change of the disk, and with it all later ones."""

    CHANGES = (
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.mkdir",
        "os.symlink",
        "os.chmod",
        "os.truncate",
        "shutil.rmtree",
    )

    def __init__(self) -> None:
        self.at: int | None = None
        self.seen = 0
        self.below = "/"

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.at is None:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in self.CHANGES or (writes and str(arguments[0]).startswith(self.below)):
            self.seen += 1
            if self.seen >= self.at:
                raise DeadError

    @contextlib.contextmanager
    def happening(self, at: int, below: Path) -> Iterator[None]:
        self.at, self.seen, self.below = at, 0, str(below)
        try:
            yield
        finally:
            self.at = None


@pytest.fixture(scope="session")
def death() -> Death:
    made = Death()
    sys.addaudithook(made)  # Python takes no hook away again; without `at` it does nothing
    return made


@pytest.mark.exhaustive
@pytest.mark.parametrize("before", [SMALL_OLD, None], ids=["over another release", "on a machine without releases"])
def test_killed_at_any_change_of_the_disk_there_is_one_whole_release_or_the_other(
    tmp_path: Path, death: Death, before: Release | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of times, and no power is cut here
    seen: list[str | None] = []
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        machine = Receiver.below(folder)
        if before is not None:
            machine.install(before)
        incoming = write(SMALL, machine.home / GONE)
        died = False
        with death.happening(at, machine.root):
            try:
                install(machine.of(incoming))
            except DeadError:
                died = True
        seen.append(machine.current())
        assert machine.current() in (before.name if before else None, SMALL.name), at
        if died:
            machine.calls.clear()
            machine.install(SMALL, into="incoming.99999998")
            assert machine.current() == SMALL.name
            assert [name for name in machine.entries() if not name.startswith("releases/")] == ["current"], at
            assert ENABLE in machine.calls
        shutil.rmtree(folder)
        if not died:
            break
    else:
        pytest.fail("it never came to its end")
    names = [before.name if before else None, SMALL.name]
    assert list(dict.fromkeys(seen)) == names  # first the old one, from one change on the new one
    assert len(seen) > 7


@pytest.mark.exhaustive
def test_a_delivery_that_was_killed_leaves_nothing_once_the_next_has_come(
    machine: Receiver, wait_until: Callable[[Callable[[], bool], str], None]
) -> None:
    sent = delivery(NEW)
    command = delivery_command(home=str(machine.home), python=str(machine.python()))
    with subprocess.Popen(["bash", "-c", f"exec {command}"], stdin=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdin is not None
        shell.stdin.write(sent[:20000].encode())
        shell.stdin.flush()
        incoming = machine.home / f"incoming.{shell.pid}"
        wait_until(incoming.is_dir, "the delivery to begin")
        # Somebody else's delivery in the meantime does not take it away.
        assert machine.install(NEW) == 0
        assert incoming.is_dir()
        os.killpg(shell.pid, signal.SIGKILL)
    assert machine.install(OLD) == 0
    assert not incoming.exists()
    assert machine.current() == OLD.name


# ---- refused


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        (
            "machine/converge/verdict.py",
            "def (:\n",
            "machine.converge.verdict cannot be loaded by this machine's Python",
        ),
        ("machine/gone.py", "import machine.nowhere\n", "machine.gone cannot be loaded by this machine's Python: Mod"),
        ("machine/old.py", "raise RuntimeError('no')\n", "machine.old cannot be loaded by this machine's Python: Runt"),
    ],
)
def test_a_release_that_this_python_cannot_load_never_becomes_current(
    machine: Receiver, path: str, content: str, said: str
) -> None:
    broken = changed(path, content)
    ended = machine.deliver(delivery(broken))
    assert ended.returncode != 0
    assert said in ended.stderr or "SyntaxError" in ended.stderr
    assert machine.current() == OLD.name
    assert machine.install(NEW) == 0
    assert machine.entries() == BOTH


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "stages/rke2").unlink(), "is not whole: its files are "),
        (lambda folder: (folder / "stages/rke2").write_text("true\n"), "is not whole: its files are "),
        (lambda folder: (folder / "stages/rke2").chmod(0o644), "is not whole: its files are "),
        (lambda folder: (folder / "stages/more").write_text("true\n"), "is not whole: its files are "),
        (lambda folder: (folder / FILE).unlink(), "is not whole: "),
        (
            lambda folder: (folder / FILE).write_text("{}"),
            "is not whole: the release's manifest has no version",
        ),
    ],
    ids=["missing", "changed", "not runnable", "too many", "no manifest", "torn manifest"],
)
def test_a_release_that_is_not_whole_is_refused(machine: Receiver, spoil: Callable[[Path], object], said: str) -> None:
    folder = write(NEW, machine.home / GONE)
    spoil(folder)
    with pytest.raises(UsageError, match=said):
        install(machine.of(folder))
    assert machine.current() == OLD.name
    assert machine.entries() == ["current", f"releases/{OLD.name}"]


def test_a_manifest_of_something_else_than_a_digest_is_refused(machine: Receiver) -> None:
    folder = write(NEW, machine.home / GONE)
    (folder / FILE).write_text('{"version": 1, "digest": "../../../etc"}', encoding="utf-8")
    with pytest.raises(UsageError, match="the release's manifest: its digest is not a SHA-256"):
        install(machine.of(folder))


def test_a_release_that_cannot_read_this_machines_files_says_which_and_what_to_do(machine: Receiver) -> None:
    machine.put("etc/mig-k8s/desired.json", json.dumps({**DESIRED, "colour": "green"}))
    with pytest.raises(UsageError, match=r"desired.json is of another release.*does not know colour.*remove it and"):
        machine.install(NEW)
    assert machine.current() == OLD.name
    # A file that a power cut tore does not count: it is written anew.
    machine.put("etc/mig-k8s/desired.json", '{"version": 1, "no')
    assert machine.install(NEW) == 0
    assert machine.current() == NEW.name


def test_a_machine_of_the_release_before_releases_is_read(machine: Receiver) -> None:
    """What commit 0e79b96 wrote to a machine's disk."""
    old = {**DESIRED, "node": {"name": "mlops-k8s-master", "role": "server"}}
    machine.put("etc/mig-k8s/desired.json", json.dumps(old))
    machine.put(
        "etc/mig-k8s/layout.json",
        '{"version": 1, "gpus": [{"index": 0, "mode": true, "instances": [{"profile": "1g.10gb", "start": 0}]}],'
        ' "onChange": "refuse"}',
    )
    assert machine.install(NEW) == 0


def test_a_delivery_that_finds_another_one_under_way_waits_and_then_gives_up(machine: Receiver) -> None:
    lock = machine.path(storage.LOCK)
    with subprocess.Popen(["flock", str(lock), "sleep", "30"], start_new_session=True) as other:
        try:
            while subprocess.run(["flock", "-n", str(lock), "true"], check=False).returncode == 0:
                pass
            waiting = dataclasses.replace(machine, clock=FakeClock())
            with pytest.raises(MachineError, match="another delivery did not end within 300 s"):
                waiting.install(NEW)
        finally:
            os.killpg(other.pid, signal.SIGKILL)
    assert machine.current() == OLD.name


# ---- repaired, kept, removed


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "machine/command_line.py").write_text("def (:\n"),
        lambda folder: (folder / "stages/rke2").unlink(),
        lambda folder: (folder / "machine/old.py").write_text("x\n"),
        lambda folder: (folder / FILE).write_text(""),
        lambda folder: shutil.rmtree(folder / "machine"),
        shutil.rmtree,
    ],
    ids=["SyntaxError", "missing", "too many", "torn manifest", "package gone", "all gone"],
)
def test_a_current_release_that_the_disk_damaged_is_whole_again_after_the_next_delivery(
    machine: Receiver, spoil: Callable[[Path], object]
) -> None:
    machine.install(NEW)
    spoil(machine.home / "releases" / NEW.name)
    assert machine.install(NEW) == 0
    assert machine.current() == NEW.name


def test_the_release_before_stays_until_a_converge_of_the_new_one_has_ended_well(machine: Receiver) -> None:
    machine.put("usr/local/lib/mig-k8s/stages/apt", "of a machine from before there were releases")
    machine.install(NEW)
    both = [*BOTH, "stages"]
    assert machine.entries() == both
    # A run of the old one that ends now has not shown that the new one works.
    storage.remove_other_releases(machine.of(machine.home / "releases" / OLD.name))
    assert machine.entries() == both
    storage.remove_other_releases(machine.of(machine.home / "releases" / NEW.name))
    assert machine.entries() == ["current", f"releases/{NEW.name}"]
    assert machine.current() == NEW.name


def test_one_command_goes_back_to_the_release_before(machine: Receiver) -> None:
    machine.install(NEW)
    install(machine.of(machine.home / "releases" / OLD.name))
    assert machine.current() == OLD.name
    assert machine.entries() == BOTH


# ---- cloud-init


def test_cloud_init_installs_what_it_wrote_on_a_machine_without_release(tmp_path: Path) -> None:
    machine = Receiver.below(tmp_path)
    ended = machine.deliver(delivery(FIRST), if_none=True)
    assert ended.returncode == 0, ended.stderr
    assert machine.current() == FIRST.name
    assert machine.entries() == ["current", f"releases/{FIRST.name}"]
    assert machine.path("usr/local/sbin/mig-k8s").exists()


@pytest.mark.exhaustive
def test_a_machine_with_its_first_release_tells_how_far_it_is_and_what_it_lacks(tmp_path: Path) -> None:
    machine = Receiver.below(tmp_path)
    machine.install(FIRST)
    status = machine.status()
    assert (status.returncode, status.stdout.splitlines()[0]) == (1, "apt            not run yet")
    for command in ("verify", "remove-node", "limit-turns", "end-turn"):
        ended = machine.command(command)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            "mig-k8s: this machine has the release that it was made with, which lacks this command. `pulumi up` brings"
            " the whole one\n"
        )
    machine.install(NEW)
    assert machine.command("verify", stdin="{}").stderr == "mig-k8s: the document of expectations has no version\n"


def test_cloud_init_does_not_take_back_what_came_over_ssh(machine: Receiver) -> None:
    ended = machine.deliver(delivery(FIRST), if_none=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == "this machine has a release already, which is kept\n"
    assert machine.current() == OLD.name
    assert machine.entries() == ["current", f"releases/{OLD.name}"]


@pytest.mark.exhaustive
def test_cloud_init_and_ssh_at_the_same_moment_leave_the_whole_release_current(tmp_path: Path) -> None:
    machine = Receiver.below(tmp_path)
    machine.home.mkdir(parents=True)
    (written := machine.home / "release.cloud-init").write_text(delivery(FIRST), encoding="utf-8")
    command = delivery_command(home=str(machine.home), python=str(machine.python()), if_none=True)
    with subprocess.Popen(["sh", "-c", f"{command} <{written}; rm {written}"]) as cloud_init:
        ended = machine.deliver(delivery(NEW))
        assert cloud_init.wait(60) == 0
    assert ended.returncode == 0, ended.stderr
    assert machine.current() == NEW.name
    assert set(machine.entries()) <= {"current", f"releases/{NEW.name}", f"releases/{FIRST.name}"}


# ---- a release that runs


def test_a_release_runs_whatever_the_callers_folder_and_environment_are(tmp_path: Path) -> None:
    folder = write(NEW, tmp_path / "release")
    strange = tmp_path / "strange"
    strange.mkdir()
    for name in ("machine", "json", "argparse"):
        (strange / f"{name}.py").write_text("raise RuntimeError('taken from the caller')\n", encoding="utf-8")
    python = str(Path(sys.executable).resolve())
    ended = subprocess.run(
        [python, "-I", "-B", str(folder), "--help"],
        cwd=strange,
        env={"PYTHONPATH": str(strange), "PYTHONHOME": "/nowhere", "HOME": str(strange)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "usage: mig-k8s" in ended.stdout
    assert is_whole(folder)  # and leaves nothing in it
