"""How a program of Python is started: in an interpreter of its own, or in a fork of a warm one where there is one."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WARM = "MIG_K8S_INTERPRETER"
"""The variable with the socket of a warm interpreter (`warm_interpreter.py`) of the same virtualenv as this one."""
WARM_INTERPRETER = Path(__file__).with_name("warm_interpreter.py")
_FORKED = ("-IS", str(WARM_INTERPRETER), "run")
"""Python's words for a run in a fork of the warm interpreter; its socket comes next, then the words of the run."""
_PROGRAM = Path(__file__).with_name("program.py")


def run(python: Path, order: Mapping[str, Any], environment: Mapping[str, str], show: Callable[[str], None]) -> int:
    """The exit status of the program of `order`; each line that it prints is shown at once. Raises OSError."""
    warm = os.environ.get(WARM)
    forked = bool(warm) and python.parents[1].resolve() == Path(sys.prefix).resolve()
    words = [str(python), "-u"]
    if forked:  # and ends with us: gRPC in a fork does not see that the engine is gone
        words = ["setpriv", "--pdeathsig", "KILL", str(python), *_FORKED, str(warm)]
    with subprocess.Popen(
        [*words, _PROGRAM],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise AssertionError("both are pipes")
        with child.stdin:
            json.dump(order, child.stdin)
        for line in child.stdout:
            show(line)
        return child.wait()


def start_script(modules: str, *arguments: str) -> str:
    """A shell script that becomes `python ARGUMENTS…` of this interpreter; `modules` is its PYTHONPATH."""
    python, what = shlex.quote(sys.executable), shlex.join(arguments)
    forked = f'exec {python} {shlex.join(_FORKED)} "${WARM}" {what} "$@"'
    return (
        f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(modules)}\n"
        f'[ -z "${WARM}" ] || {forked}\n'
        f'exec {python} {what} "$@"\n'
    )
