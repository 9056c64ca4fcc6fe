"""Control groups on the real hierarchies of this host: a machine may enter its own again, and dead ones are removed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sandbox import instance, network, recovery
from sandbox.error import SandboxError
from sandbox.host import cgroup
from sandbox.instance import Sandbox

pytestmark = pytest.mark.sandbox
_ENTERS = (
    "import sys; from sandbox.host import cgroup; cgroup.enter(sys.argv[1]); print('in', flush=True); sys.stdin.read()"
)


@pytest.fixture
def names() -> Iterator[list[str]]:
    """Names of groups of this test; whatever it makes under them goes."""
    if os.geteuid() != 0:
        pytest.skip("control groups are root's")
    mine = [f"mk8s-groups-{os.getpid()}-{number}" for number in range(4)]
    yield mine
    for name in mine:
        cgroup.remove(name)


@contextmanager
def inhabitant(name: str) -> Iterator[int]:
    """The pid of a process that has entered the group."""
    root = Path(cgroup.__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _ENTERS, name], cwd=root, stdin=pipe, stdout=pipe, text=True
    ) as process:  # its standard input ends with the block, and so does it
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process.pid


def unified() -> Path:
    """The v2 hierarchy of this host, if it has a controller that can be handed down."""
    for hierarchy in cgroup.hierarchies():
        controllers = hierarchy / "cgroup.controllers"
        if controllers.exists() and controllers.read_text().split():
            return hierarchy
    pytest.skip("this host has no v2 hierarchy with a controller of its own")


def test_a_process_enters_the_group_in_every_hierarchy(names: list[str]) -> None:
    cgroup.create(names[0])
    with inhabitant(names[0]) as pid:
        groups = {line.rsplit(":", 1)[1] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
        assert groups == {f"/{names[0]}/machine"}
        assert cgroup.processes(names[0]) == {pid}


def test_a_machine_enters_its_group_again_after_nspawn_handed_its_controllers_down(names: list[str]) -> None:
    hierarchy = unified()
    cgroup.create(names[0])
    group = hierarchy / names[0] / "machine"
    (group / "payload/system.slice").mkdir(parents=True)
    (group / "supervisor").mkdir()
    controller = (group / "cgroup.controllers").read_text().split()[0]
    (group / "cgroup.subtree_control").write_text(f"+{controller}")
    (group / "payload/cgroup.subtree_control").write_text(f"+{controller}")
    with inhabitant(names[0]) as pid:
        assert (group / "cgroup.procs").read_text().split() == [str(pid)]
        assert (group / "cgroup.subtree_control").read_text().split() == []


def test_a_reload_of_the_hosts_systemd_takes_no_controller_away_between_two_boots(names: list[str]) -> None:
    """systemd writes `-cpuset -io` to the topmost group then; the kernel refuses what a group below hands down."""
    topmost = unified() / "cgroup.subtree_control"
    cgroup.create(names[0])
    with inhabitant(names[0]):
        pass
    controller = topmost.read_text().split()[0]
    try:
        with pytest.raises(OSError, match="busy"):
            topmost.write_text(f"-{controller}")
    finally:
        topmost.write_text(f"+{controller}")


def test_a_controller_that_is_taken_away_while_a_group_is_made_is_handed_down_again(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hierarchy = unified()
    controller = (hierarchy / "cgroup.controllers").read_text().split()[0]
    monkeypatch.setattr(cgroup, "_NEEDED", {controller})
    hand_down, lost = cgroup._hand_down, []

    def with_a_reload(group: Path) -> None:
        hand_down(group)
        if group == hierarchy and not lost:
            lost.append(controller)
            with suppress(OSError):  # the machine of another test holds it
                (group / "cgroup.subtree_control").write_text(f"-{controller}")

    monkeypatch.setattr(cgroup, "_hand_down", with_a_reload)
    cgroup.create(names[0])
    assert lost == [controller]
    assert controller in (hierarchy / names[0] / "machine/cgroup.controllers").read_text().split()


def test_a_host_that_keeps_a_controller_that_limits_need_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    (tmp_path / "cgroup.subtree_control").write_text(
        ""
    )  # an ordinary file: it never shows what was written as handed down
    monkeypatch.setattr(cgroup, "hierarchies", lambda: [tmp_path])
    said = (
        rf"{tmp_path} does not hand down cpu, cpuset, io, memory, pids, with which Kubernetes sets the limits of pods"
    )
    with pytest.raises(SandboxError, match=said):
        cgroup.create("mk8s-x")


def test_dead_groups_go_and_living_claimed_and_starting_ones_stay(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, living, claimed, starting = names
    for name in names:
        cgroup.create(name)
    assert cgroup.machines() >= set(names)
    monkeypatch.setattr(cgroup, "machines", lambda: set(names))  # this test removes nobody else's
    for hierarchy in cgroup.hierarchies():
        if hierarchy.name in {"systemd", "unified", "cgroup"}:
            (hierarchy / dead / "payload/user.slice/user-1000.slice").mkdir(parents=True)
    monkeypatch.setattr(instance, "_CLAIMS", tmp_path / "claims")
    name, _, vm_id = claimed.removeprefix("mk8s-").rpartition("-")
    holder = Sandbox(name=name, root=tmp_path / "holder", network="10.99.254")
    holder.save()
    (holder.root / "machines" / vm_id).mkdir(parents=True)
    (tmp_path / "netns").mkdir()
    (tmp_path / "netns" / starting).touch()
    for module in (instance, network):
        monkeypatch.setattr(module, "_NAMESPACES", tmp_path / "netns")
    with holder.claim():
        (tmp_path / "netns" / holder.wire).touch()
    with inhabitant(living):
        recovery.remove_dead_groups()
    left = {name for name in names for hierarchy in cgroup.hierarchies() if (hierarchy / name).exists()}
    assert left == {living, claimed, starting}
    assert capsys.readouterr().err == f"· control groups of machines that are gone, removed: {dead}\n"


def test_where_no_group_is_dead_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cgroup, "machines", set)
    recovery.remove_dead_groups()
    assert capsys.readouterr().err == ""


def test_who_is_not_root_removes_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(cgroup, "machines", lambda: asked.append("machines"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    recovery.remove_dead_groups()
    assert asked == []
