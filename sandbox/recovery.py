"""One command at a time on a sandbox, and what a killed one leaves: its engine, a lock, operations without an end."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from sandbox import network
from sandbox.cloud import load_balancer
from sandbox.cloud.arm import Cloud
from sandbox.cloud.balancing_rules import LOAD_BALANCER
from sandbox.engine.environment import Environment
from sandbox.error import SandboxError
from sandbox.host import cgroup, machine
from sandbox.instance import Sandbox, holders
from sandbox.process import ProcessId, started_with
from sandbox.progress import say

_ENGINE_SECONDS = 20
_PLUGIN_SECONDS = 20
_LOCK_POLL_SECONDS = 0.2
_KEPT = [
    f"{folder}{file}"
    for folder in ("", "*/")
    for file in ("machines/*/supervisor.pid", "mirror/pid", "load_balancers/*/pid")
]
"""Pid files of machines, mirrors and load balancers, below one sandbox or below the directory of all."""


def remove_dead_groups() -> None:
    """Control groups that killed sandboxes left: nothing lives in them, and no sandbox of any user has the machine."""
    if os.geteuid() != 0:
        return
    kept = {holder.machine_namespace(vm_id) for holder in holders() for vm_id in holder.machine_ids}
    # The network namespace is made before the group and goes after it: where it is, a machine may be starting.
    dead = [name for name in cgroup.machines() - kept if not network.path(name).exists() and not cgroup.processes(name)]
    for name in sorted(dead):
        cgroup.remove(name)
    if dead:
        say(f"control groups of machines that are gone, removed: {', '.join(sorted(dead))}")


@contextmanager
def alone(root: Path, *, seconds: float = 0) -> Iterator[None]:
    """Hold the sandbox in `root` against other commands. Raises SandboxError if one is at work there for `seconds`."""
    deadline = time.monotonic() + seconds
    # Beside the sandbox: one command may remove that while another one waits.
    file = root.with_name(f".{root.name}.lock")
    while (lock := _locked(file)) is None:
        if time.monotonic() >= deadline:
            raise SandboxError(
                f"another command is at work on {root}: wait for it, or end it with Ctrl-C where it runs"
            )
        time.sleep(_LOCK_POLL_SECONDS)
    with lock:
        root.mkdir(exist_ok=True, mode=0o700)
        try:
            yield
        finally:
            file.unlink()


def _locked(file: Path) -> IO[str] | None:
    """The lock, which ends with this process, however that ends; None while another one has it."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as kept:
        try:
            lock = kept.enter_context(file.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_ino != file.stat().st_ino:  # who had it has removed it
                return None
        except (BlockingIOError, FileNotFoundError):
            return None
        kept.pop_all()
        return lock


def end_engine(environment: Environment) -> None:
    """End an engine whose command was killed. It was told to stop then; told twice, it stops at once."""
    engine = ProcessId.read(environment.engine_file)
    if engine is not None:
        say("the engine of a killed command still runs: it is ended")
        engine.send(signal.SIGINT)
        if not engine.wait(_ENGINE_SECONDS):
            engine.kill()


def end_plugins(below: Path) -> None:
    """End every process that was started with a PULUMI_HOME in or below this directory, but no machine; say which.

    Plugins do not notice that their engine was killed: they wait for it for ever, and so does what they started.
    Machines and mirrors have a pid file each and end by that: those of an older checkout bear their engine's home.
    Raises SandboxError if one does not end.
    """
    ended, deadline = [], time.monotonic() + _PLUGIN_SECONDS
    kept = {ProcessId.read(file) for pattern in _KEPT for file in below.glob(pattern)}
    while found := [
        process
        for process, home in started_with("PULUMI_HOME")
        if Path(home).is_relative_to(below) and process not in kept
    ]:
        if time.monotonic() > deadline:  # one may start another while it is being ended, but not for ever
            raise SandboxError(f"processes {', '.join(str(each.pid) for each in found)} of {below} start others anew")
        for process in found:
            ended.append(f"{process.command} ({process.pid})")
            process.kill()
    if ended:
        say(f"of a killed command there still ran, and was ended: {'; '.join(ended)}")


def recover(environment: Environment) -> None:
    """Take away what a killed engine left, so that the next one can go on from the state; say so if there was any.

    `pulumi refresh --clear-pending-creates` does the same to the state, but asks machines that may be dead.
    """
    end_engine(environment)
    end_plugins(environment.root)
    found = []
    if any(environment.locks.rglob("*.json")):
        environment.output("cancel", "--yes")
        found.append("the engine's lock")
    deployment = environment.state()
    if pending := deployment.pop("pending_operations", None):
        environment.output("stack", "import", stdin=json.dumps({"version": 3, "deployment": deployment}))
        found += [f"{one['type']} {one['resource']['urn'].rsplit('::', 1)[1]} (unfinished)" for one in pending]
    if environment.machines:
        noted = {resource.get("id") for resource in deployment.get("resources", [])}
        found += [f"{name} (made but not noted)" for name in _take_away_unnoted(Sandbox.load(environment.root), noted)]
    if found:
        say(f"a command was killed here; taken away: {'; '.join(found)}")


def _take_away_unnoted(sandbox: Sandbox, noted: set[str | None]) -> list[str]:
    """What the cloud has and the engine does not know: it would be made again, and Azure would refuse."""
    with Cloud.of(sandbox).open() as records:
        unnoted = {resource: records.pop(resource) for resource in list(records) if resource not in noted}
    for resource, record in unnoted.items():
        if record["kind"] == LOAD_BALANCER:
            load_balancer.stop(sandbox, resource)
        if vm_id := record["outputs"].get("vmId"):
            machine.stop(sandbox, vm_id)
    return [resource.rsplit("/", 1)[1] for resource in unnoted]
