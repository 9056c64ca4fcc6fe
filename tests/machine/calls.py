"""Calls of this package's command line, in the process of the tests or, for what is killed on the way, in another."""

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a_machine import AMachine

from machine.command_line import main
from machine.documents.gpu_report import GpuReport
from machine.host.this_machine import ThisMachine


def isolated_python() -> list[str]:
    """This Python without its caller's environment, but with the compiled modules that the tests keep."""
    modules = ["-X", f"pycache_prefix={sys.pycache_prefix}"] if sys.pycache_prefix else ["-B"]
    return [str(Path(sys.executable).resolve()), "-I", *modules]


DRIVER = Path(__file__).resolve().parent / "driver.py"


@dataclass(frozen=True)
class Called:
    """How a call ended, and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> GpuReport:
        return GpuReport.from_json(self.stdout)


def command_line(machine: ThisMachine, words: list[str]) -> int:
    """What `mig-k8s WORDS` does on a machine. Returns the exit code."""
    try:
        return main(words, machine)
    except SystemExit as ended:
        return int(ended.code or 0)


def call(machine: ThisMachine, *words: str, stdin: str = "") -> Called:
    """Call it in this process."""
    out, errors, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = command_line(machine, list(words))
    finally:
        sys.stdin = before
    return Called(status, out.getvalue(), errors.getvalue())


def call_process(machine: AMachine, *words: str, stdin: str = "", fate: dict[str, Any] | None = None) -> Called:
    """Call it in a process of its own, which may get a signal at a certain run of a program: see KillableMachine."""
    spec = {"folder": str(machine.folder), "environment": machine.environment, "fate": fate or {}}
    path = machine.state / "driver.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    command = [*isolated_python(), str(DRIVER), str(path), *words]
    ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    return Called(ended.returncode, ended.stdout, ended.stderr)
