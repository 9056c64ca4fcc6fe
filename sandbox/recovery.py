"""One command at a time on a sandbox, and what a killed one leaves: its engine, plugins, and what `recover` ends."""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from sandbox import network, person
from sandbox.cloud.arm import SUBSCRIPTION
from sandbox.engine.environment import STACK, Environment
from sandbox.error import SandboxError
from sandbox.host import cgroup
from sandbox.instance import holders
from sandbox.process import ProcessId, started_with
from sandbox.progress import say
from scripts import recover as recovering
from scripts.engine import Engine

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
def exclusive(root: Path, *, seconds: float = 0) -> Iterator[None]:
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
    person.make_folder(file.parent, mode=0o700)
    with ExitStack() as kept:
        try:
            lock = kept.enter_context(file.open("w"))
            person.give(file)
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
    Machines and mirrors have a pid file each and end by that: those of an older checkout have their engine's home.
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


def clear(environment: Environment) -> None:
    """End a killed engine and its lock, for who takes everything away."""
    end_engine(environment)
    end_plugins(environment.root)
    if any(environment.locks.rglob("*.json")):
        environment.output("cancel", "--yes")


def recover(environment: Environment) -> None:
    """What `make recover NAME=…` does to a person's stack, done to the sandbox's. Raises StackError.

    What a killed engine started is ended first, as the end of a session does; an engine that works is refused there.
    """
    if ProcessId.read(environment.engine_file) is None:
        end_plugins(environment.root)
    variables = environment.variables() | {"ARM_SUBSCRIPTION_ID": SUBSCRIPTION}
    config = ("--config-file", str(environment.stack_file))
    engine = Engine(stack=STACK, folder=environment.project(), variables=variables, config=config)
    recovering.recover(engine, ["-i", str(environment.admin_key)])
