"""A run of a Pulumi program: in an interpreter of its own, or in a fork of a warm one where there is one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox.providers.warm_interpreter import LENGTH

WARM = "MIG_K8S_INTERPRETER"
"""The variable with the socket of a warm interpreter (`warm_interpreter.py`) of the same virtualenv as this one."""
_PROGRAM = Path(__file__).with_name("program.py")
_KILLED = 137


def run(python: Path, order: Mapping[str, Any], environment: Mapping[str, str], show: Callable[[str], None]) -> int:
    """The exit status of the program of `order`; each line that it prints is shown at once. Raises OSError."""
    warm = os.environ.get(WARM)
    if warm and python.parents[1].resolve() == Path(sys.prefix).resolve():
        return _forked(warm, order, environment, show)
    with subprocess.Popen(
        [python, "-u", _PROGRAM],
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


def _forked(warm: str, order: Mapping[str, Any], environment: Mapping[str, str], show: Callable[[str], None]) -> int:
    subprocess.run(["/bin/true"], env=environment, check=True)  # what no program can be started with is refused here
    asked = json.dumps({"order": order, "environment": environment}).encode()
    read, write = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        with os.fdopen(write, "wb"):
            connection.connect(warm)
            socket.send_fds(connection, [LENGTH.pack(len(asked))], [write])
        connection.sendall(asked)
        with os.fdopen(read, encoding="utf-8") as said:
            for line in said:
                show(line)
        status = connection.recv(1)
    return status[0] if status else _KILLED
