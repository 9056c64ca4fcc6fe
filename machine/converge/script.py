"""A stage's script, run to its end within a bound; its lines are read as they come.

A script reports on standard output, a line at a time: `progress TEXT` any number of times, then one of `done`,
`unchanged`, `reboot`, `turn` or `failed` with the reason in words. `half-changed` comes before what leaves the machine
in between when it fails. What its tools say goes to standard error, into a log file.
"""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from machine.converge.stages import Stage
from machine.documents.result import Outcome
from machine.host.clock import Clock
from machine.host.console import plain
from machine.host.errors import MAKE_ROOM
from machine.host.this_machine import ThisMachine

LOGS = "/run/mig-k8s/log"
_ENDS: dict[str, Outcome] = {
    "done": "done",
    "unchanged": "unchanged",
    "reboot": "reboot",
    "turn": "turn",
    "failed": "failed",
}
_NO_ROOM = "No space left on device"


@dataclass(frozen=True)
class End:
    """How a script has ended."""

    outcome: Outcome
    reason: str
    half_changed: bool = False
    """Whether it has failed where that leaves the machine in between; also where it did not tell."""


def run(machine: ThisMachine, stage: Stage, told: Callable[[str], None], *, asks_turn: bool = False) -> End:
    """Run the script; how it has ended. `told` gets each line of progress.

    `asks_turn`: it ends with `turn` where it would go on with something disruptive.
    """
    log = machine.path(LOGS) / f"{stage.name}.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = machine.clock.monotonic() + stage.seconds
    try:
        process = _start(machine, stage, log, {"ASKS_TURN": "1"} if asks_turn else {})
    except OSError as error:
        return End("failed", f"{error}: run `pulumi up` to write it again")
    outcome: Outcome | None = None
    reason, half_changed = "", False
    try:
        for line in _lines(process, machine.clock, deadline):
            kind, _, text = line.partition(" ")
            if kind == "progress":
                told(text)
            elif kind == "half-changed":
                half_changed = True
            else:
                outcome, reason = _ENDS.get(kind), text
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        words = f"not finished after {stage.seconds:g} s; its last words: {last_line(log)}"
        return End("failed", words, half_changed=True)
    finally:
        assert process.stdout is not None  # noqa: S101 - opened with a pipe
        process.stdout.close()
    if outcome != "failed" and (outcome is None or process.returncode != 0):
        outcome, reason = "failed", f"its script ended with {process.returncode}: {last_line(log)}"
        half_changed = True
    if outcome == "failed" and _NO_ROOM in reason:
        reason = f"{reason}. {MAKE_ROOM}"
    return End(outcome, reason, half_changed)


def last_line(log: Path) -> str:
    """The last thing that a script's tools said."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
        if lines:
            return plain(lines[-1].rstrip())
    return "without a word"


def _start(machine: ThisMachine, stage: Stage, log: Path, more: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    environment = {**machine.environment, **(stage.variables or {}), "MIG_K8S_ROOT": str(machine.root), **more}
    with log.open("w", encoding="utf-8") as errors:
        return subprocess.Popen(
            [str(stage.script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )


def _lines(process: "subprocess.Popen[bytes]", clock: Clock, deadline: float) -> Iterator[str]:
    """Lines of a process until it has ended. A daemon that inherited the pipe does not hold this up."""
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    pipe, rest = process.stdout.fileno(), b""
    while True:
        ended = process.poll() is not None
        if clock.monotonic() > deadline:
            raise TimeoutError
        if select.select([pipe], [], [], 0 if ended else 0.1)[0]:
            data = os.read(pipe, 65536)
            *whole, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if data:
                continue
        if ended:
            return
