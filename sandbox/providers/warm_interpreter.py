"""An interpreter that has imported Pulumi's SDKs already and runs programs in forks of itself.

    python -Pu warm_interpreter.py serve SOCKET                  until it is killed
    python -IS warm_interpreter.py run SOCKET [-Pm] PROGRAM …    does what `python -u [-Pm] PROGRAM …` does

Importing them is most of a short run, of the program and of each stand-in in Python. What runs the engine hundreds of
times, as tests do, starts one and names its socket in MIG_K8S_INTERPRETER.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_SDKS = (
    "pulumi_azure_native.compute",
    "pulumi_azure_native.devtestlab",
    "pulumi_azure_native.network",
    "pulumi_azure_native.resources",
    "pulumi_command.remote",
    "pulumi_kubernetes.helm.v3",
)
_LENGTH = struct.Struct("!Q")
_KILLED = 137


def run(path: str, arguments: list[str]) -> int:
    """The exit status of these arguments of Python's; what is run has this process's streams, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asked = json.dumps({"arguments": arguments, "environment": dict(os.environ), "directory": str(Path.cwd())}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        socket.send_fds(connection, [_LENGTH.pack(len(asked))], [0, 1, 2])
        connection.sendall(asked)
        status = connection.recv(1)
    return status[0] if status else _KILLED


def serve(path: str) -> NoReturn:
    """Serve until killed."""
    for name in _SDKS:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who attends to a program tells its status
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(32)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> NoReturn:
    """Have one program run: its status goes back, and it ends with who asked for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
    (length,) = _LENGTH.unpack(size)
    with connection.makefile("rb") as sent:
        asked = json.loads(sent.read(length))
    program = os.fork()
    if program == 0:
        connection.close()
        _become(asked, streams)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(program)
    if ended not in select.select([connection.fileno(), ended], [], [])[0]:
        os.kill(program, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    try:
        connection.sendall(bytes([code if code >= 0 else 128 - code]))
    finally:
        os._exit(0)


def _become(asked: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be the program, as in an interpreter of its own."""
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["directory"])
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
    try:
        code = _run(asked["arguments"])
    except BaseException:  # noqa: BLE001 - whatever a program may raise
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        if arguments[0] == "-Pm":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(run(sys.argv[2], sys.argv[3:]))
