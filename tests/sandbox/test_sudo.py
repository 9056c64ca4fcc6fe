"""`sudo make …` keeps one cache and one state: the person's, who may read and replace all that root has left there."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cache, instance, lifecycle, network, person, recovery
from sandbox.error import SandboxError
from sandbox.instance import Sandbox
from sandbox.tools import go, go_toolchain
from stacks import REPOSITORY
from sudo import environment_of, sudo

pytestmark = pytest.mark.sandbox
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home of a person behind sudo, which this process uses as its own; everybody may pass the folders above it."""
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder, "home")
        home.mkdir()
        os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
        for name, value in environment_of(NOBODY.pw_uid, NOBODY.pw_gid).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(person, "_given_to_sudo", lambda: {"HOME": str(home)})
        for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
            monkeypatch.delenv(variable, raising=False)
        person.take_the_place()
        yield home


def roots(folder: Path) -> list[str]:
    """Names of what is root's in and below a folder."""
    every = [folder, *folder.rglob("*")]
    return sorted(str(path.relative_to(folder)) for path in every if path.lstat().st_uid == 0)


def test_what_is_built_is_the_persons_and_so_are_the_folders_above_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "roots").touch()

    def build(draft: Path) -> None:
        (draft / "below").mkdir()
        (draft / "below/program").touch()
        (draft / "link").symlink_to(tmp_path / "roots")

    assert cache.cached("thing", "k1", build) == home / ".cache/mig-k8s/thing/k1"
    assert roots(home) == []
    assert roots(tmp_path) == [".", "roots"]


def test_owners_that_are_a_part_of_what_is_built_stay(home: Path) -> None:
    cache.cached("image", "k1", lambda draft: (draft / "tree").mkdir(), with_owners=True)
    assert roots(home) == [".cache/mig-k8s/image/k1/tree"]


def test_bytecode_that_roots_python_left_is_given_back(home: Path) -> None:
    (home / ".cache/mig-k8s/pycache/sandbox").mkdir(parents=True)
    (home / ".cache/mig-k8s/pycache/sandbox/cache.pyc").touch()
    cache.give_back()
    assert roots(home) == []


def test_a_sandbox_is_given_back_but_for_the_disks_of_its_machines(home: Path) -> None:
    (home / ".local").mkdir()
    sandbox = instance.made("default")
    assert (home / ".local/state").stat().st_mode & 0o777 == 0o755
    assert sandbox.root.parent.stat().st_mode & 0o777 == 0o700
    (sandbox.root / "keys").mkdir()
    (sandbox.root / "keys/admin").touch()
    (sandbox.machine_directory("one") / "upper/etc").mkdir(parents=True)
    instance.give_back()
    machines = ".local/state/mig-k8s/default/machines"
    assert roots(home) == [
        machines,
        f"{machines}/one",
        f"{machines}/one/upper",
        f"{machines}/one/upper/etc",
    ]


def test_the_folder_of_claims_of_all_persons_stays_roots(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "_CLAIMS", tmp_path / "claims")
    sandbox = Sandbox(name="dev", root=home / "dev", network="10.99.254")
    sandbox.save()
    with sandbox.claim():
        pass
    assert roots(tmp_path / "claims") == [".", "dev"]


def test_the_folders_above_a_sandbox_are_the_persons_however_it_was_made(home: Path) -> None:
    Sandbox(name="dev", root=instance.default_root("dev"), network="10.99.254").save()
    assert roots(home) == [".local/state/mig-k8s/dev/instance.json"]
    instance.give_back()
    assert roots(home) == []


def test_a_lock_that_root_holds_is_the_persons(home: Path) -> None:
    """Who finds it without root is told that a command is at work, and gets no error of the file."""
    with recovery.exclusive(home / ".local/state/mig-k8s/default"):
        assert roots(home) == [".local/state/mig-k8s/default"]
    cache.cached("thing", "k1", lambda _: None)
    assert (home / ".cache/mig-k8s/thing/.k1.lock").stat().st_uid == NOBODY.pw_uid


def test_go_runs_as_the_person_and_may_write_what_it_makes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = home / "go"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nid -u >"$2"; echo $HOME >>"$2"\n')
    program.chmod(0o755)
    monkeypatch.setattr(go_toolchain, "go", lambda: go_toolchain.Go(program, "go1.26.8"))
    (home / "go.mod").touch()
    made = go.kept("thing", home, [], lambda draft: go.build(home, draft / "program", ".", ""))
    assert (made / "program").read_text() == f"{NOBODY.pw_uid}\n{home}\n"
    assert (made / "program").stat().st_uid == NOBODY.pw_uid


def make(folder: Path, home: Path, *arguments: str) -> str:
    """What make says to a person who typed sudo."""
    persons = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}
    given = environment_of(NOBODY.pw_uid, NOBODY.pw_gid)
    done = sudo(folder, ["make", *arguments], persons=persons, given=given, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_has_the_persons_cache_and_path(home: Path, tmp_path: Path) -> None:
    shown = make(tmp_path, home, "--eval", "shown: ; @echo $(cache); echo $$PATH", "shown").splitlines()
    assert shown == [
        f"{home}/.cache/mig-k8s",
        f"{home}/bin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
    ]


def test_make_runs_what_needs_no_root_as_the_person(home: Path, tmp_path: Path) -> None:
    words = make(tmp_path, home, "--eval", "who: ; @$(as_person) id -un; $(as_person) printenv SUDO_UID || :", "who")
    assert words == "nobody\n"
    assert "$(as_person) $(MAKE) --no-print-directory check exhaustive engine" in (REPOSITORY / "Makefile").read_text()


def test_make_gives_back_what_a_command_of_root_has_left(home: Path, tmp_path: Path) -> None:
    left = home / ".cache/mig-k8s/pytest/left"
    left.parent.mkdir(parents=True)
    make(tmp_path, home, "--eval", f"leaves: ; @$(give_back) touch {left}", "leaves")
    assert left.stat().st_uid == NOBODY.pw_uid


def test_without_root_machines_are_not_half_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(name="default", root=home / ".local/state/mig-k8s/default", network="10.99.254")
    sandbox.save()
    monkeypatch.setattr(network, "_NAMESPACES", home)
    (home / sandbox.wire).touch()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY.pw_uid)
    with pytest.raises(SandboxError, match=r"^sandbox default is up, and its machines are root's: run this with sudo$"):
        lifecycle.down("default")
    assert sandbox.root.exists()
