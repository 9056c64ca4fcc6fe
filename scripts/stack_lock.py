"""Who holds a stack, and the end of a lock whose holder is gone.

A backend of files (a folder, a bucket, a blob container) keeps one lock for each command, with user, host, process and
time. Pulumi Cloud tells only that an update is in progress.
"""

import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.engine import Engine
from scripts.stack import StackError

CLOUD = "cloud"
"""The value of LOCK that ends an update that Pulumi Cloud takes for one in progress."""
_LOCK = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
_IN_CLOUD = "Another update is currently in progress"


@dataclass(frozen=True)
class Lock:
    """One lock of a backend of files."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since}"


def end_lock(engine: Engine, ended: str) -> Iterator[str]:
    """End the stack's lock and say whose it was; nothing where there is none.

    `ended`: another host, or CLOUD, whose lock is ended although nobody can see from here whether its holder works.
    Raises StackError where a holder works, or might.
    """
    done = _asked(engine)
    if not done.returncode:
        return
    said = done.stderr + done.stdout
    if _IN_CLOUD in said:
        if ended != CLOUD:
            raise StackError(
                f"Pulumi Cloud says that an update of {engine.stack} is in progress. `pulumi stack --stack"
                f" {engine.stack}` says whose; it cannot be seen from here whether it runs. If it does not, end it:"
                f" LOCK={CLOUD}"
            )
        engine.output("cancel", "--yes")
        yield "lock: the update in Pulumi Cloud is cancelled"
        return
    locks = [Lock(each["user"], each["host"], int(each["pid"]), each["since"]) for each in _LOCK.finditer(said)]
    if not locks:
        raise StackError(f"Pulumi cannot work on {engine.stack}:\n{said.strip()}")
    for lock in locks:
        _require_gone(lock, ended)
    engine.output("cancel", "--yes")
    yield from (f"lock: that of {lock} is cancelled" for lock in locks)


def _asked(engine: Engine) -> "subprocess.CompletedProcess[str]":
    """The answer of a command that has to take the lock, and changes nothing.

    It looks at the stack itself alone, of which there is nothing anywhere but in the state.
    """
    resources = engine.exported()["deployment"].get("resources") or ()
    first = sorted(resources, key=lambda each: bool(each["type"] != "pulumi:pulumi:Stack"))[:1]
    targets = [word for each in first for word in ("--target", each["urn"])]
    return engine.tried("refresh", "--yes", "--skip-preview", "--suppress-outputs", *targets, *engine.config)


def _require_gone(lock: Lock, ended: str) -> None:
    """Check that this holder is gone. Raises StackError where it works, or might."""
    if lock.host != socket.gethostname():
        if lock.host != ended:
            raise StackError(
                f"the stack is locked by {lock}, on another host: it cannot be seen from here whether it works. If it"
                f" does not, end its lock: LOCK={lock.host}"
            )
    elif running := _program(lock.pid):
        raise StackError(
            f"the stack is locked by {lock}, which works ({running}): wait for it, or end it with Ctrl-C where it runs"
        )


def _program(pid: int) -> str:
    """The name of this process, if it is a Pulumi that runs; a number may have gone to another program since."""
    done = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, program = done.stdout.strip().partition(" ")
    program = program.strip()
    return program if "pulumi" in program and not state.startswith("Z") else ""
