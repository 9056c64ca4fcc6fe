"""Ending a machine leaves no process, mount, control group, namespace or file behind, whatever was killed before."""

import os
import signal
from pathlib import Path

import pytest
from administrator import Boot, Machine

from sandbox import network, process
from sandbox.error import SandboxError
from sandbox.host import cgroup, image, machine
from sandbox.host.machine import MachineStatus
from sandbox.process import ProcessId

pytestmark = pytest.mark.sandbox


def traces(one: Machine) -> dict[str, list[str]]:
    """Everything on this host with the machine's id: found by looking everywhere, not where the sandbox keeps it."""
    vm_id = one.spec.vm_id
    wire, port = (
        process.run(["ip", "-n", one.sandbox.wire, "-brief", "link"]),
        one.spec.public_address.rpartition(".")[2],
    )
    port = f"port{port}@"
    commands = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
    return {
        "processes": [pid for pid, path in commands.items() if vm_id in _read(path)],
        "members": [path.parent.name for path in Path("/proc").glob("[0-9]*/cgroup") if _lives_in(vm_id, path)],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if vm_id in line],
        "groups": [path for path, _, _ in os.walk("/sys/fs/cgroup") if vm_id in path],
        "namespaces": [path.name for path in Path("/run/netns").glob("*") if vm_id in path.name],
        "files": [str(path) for folder in (one.sandbox.root, Path("/run")) for path in folder.rglob(f"*{vm_id}*")],
        "cables": [line for line in wire.splitlines() if line.startswith(port)],
    }


def _lives_in(group: str, listing: Path) -> bool:
    """A dead process that waits to be taken note of by init is in its old group, and nothing of it is left."""
    return group in _read(listing) and ProcessId.of(int(listing.parent.name)) is not None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def nothing() -> dict[str, list[str]]:
    places = ("processes", "members", "mounts", "groups", "namespaces", "files", "cables")
    return {place: [] for place in places}


def victim(one: Machine, file: str) -> ProcessId:
    found = ProcessId.read(one.directory / file)
    assert found is not None
    return found


def test_a_running_machine_is_ended_without_a_trace(boot: Boot) -> None:
    one = boot(number=20)
    one.run("true")
    found = traces(one)
    assert found["processes"]
    assert found["groups"]
    assert found["namespaces"]
    machine.stop(one.sandbox, one.spec.vm_id)
    assert traces(one) == nothing()
    assert machine.status(one.sandbox, one.spec.vm_id) is MachineStatus.ABSENT


def test_a_machine_is_ended_in_the_middle_of_its_boot(boot: Boot) -> None:
    one = boot(number=21)
    machine.stop(one.sandbox, one.spec.vm_id)
    assert traces(one) == nothing()


@pytest.mark.parametrize("killed", [["supervisor.pid"], ["nspawn.pid"], ["supervisor.pid", "nspawn.pid"]])
def test_a_machine_whose_keepers_were_killed_is_ended_without_a_trace(boot: Boot, killed: list[str]) -> None:
    one = boot(number=22)
    one.run("true")
    init = victim(one, "leader.pid")
    for keeper in [victim(one, file) for file in killed]:
        keeper.send(signal.SIGKILL)
        assert keeper.wait(10)
    assert ProcessId.of(init.pid) == init, "the machine itself should have survived: there is nothing to test"
    assert machine.status(one.sandbox, one.spec.vm_id) is MachineStatus.RUNNING
    machine.stop(one.sandbox, one.spec.vm_id)
    assert traces(one) == nothing()


def test_a_process_that_took_over_a_pid_is_not_ended(boot: Boot) -> None:
    one = boot(number=23)
    mine = ProcessId.me()
    (one.directory / "leader.pid").write_text(f"{mine.pid} {mine.started + 1}\n")
    machine.stop(one.sandbox, one.spec.vm_id)  # would end this very test
    assert traces(one) == nothing()


def test_ending_a_machine_twice_is_not_an_error(boot: Boot) -> None:
    one = boot(number=24)
    machine.stop(one.sandbox, one.spec.vm_id)
    machine.stop(one.sandbox, one.spec.vm_id)


def test_a_machine_that_cannot_boot_says_why_and_is_ended_without_a_trace(
    boot: Boot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "rootfs", lambda: tmp_path)
    with pytest.raises(
        SandboxError, match=r"(?s)sandbox\.host\.supervisor did not start.*doesn't look like an OS root directory"
    ):
        boot(number=27)
    one = boot.machines[-1]
    machine.stop(one.sandbox, one.spec.vm_id)
    assert traces(one) == nothing()


def test_other_machines_go_on(boot: Boot) -> None:
    stays, goes = boot(number=25), boot(number=26)
    before = stays.boot_id()
    assert goes.run("bash -c 'echo >/dev/tcp/10.60.0.25/22' && echo reached") == "reached"
    machine.stop(goes.sandbox, goes.spec.vm_id)
    assert stays.boot_id() == before
    assert cgroup.processes(stays.group)
    assert network.processes(stays.group)
