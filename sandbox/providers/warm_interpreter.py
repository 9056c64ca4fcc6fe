"""An interpreter that has imported Pulumi's SDKs already and runs each program in a fork of itself.

    python -u warm_interpreter.py SOCKET

Importing them is most of a short run. What runs the engine hundreds of times, as tests do, starts one and names its
socket in MIG_K8S_INTERPRETER.
"""

import gc
import json
import os
import runpy
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

SDKS = (
    "pulumi_azure_native.compute",
    "pulumi_azure_native.network",
    "pulumi_azure_native.resources",
    "pulumi_command.remote",
    "pulumi_kubernetes.helm.v3",
)
LENGTH = struct.Struct("!Q")


def main(path: str) -> NoReturn:
    """Serve until killed."""
    for name in SDKS:
        import_module(name)
    # Not imported: on the path of modules is what is there for a program in an interpreter of its own.
    run = runpy.run_path(str(Path(__file__).with_name("program.py")))["run"]
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # each run tells its own status
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(32)
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _run(connection, run)
            connection.close()


def _run(connection: socket.socket, run: Callable[[dict[str, Any]], int]) -> NoReturn:
    """One program, as in an interpreter of its own; a connection that ends ends it, as a pipe would."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, (output, *_), _, _ = socket.recv_fds(connection, LENGTH.size, 1)
    (length,) = LENGTH.unpack(size)
    with connection.makefile("rb") as stream:
        asked = json.loads(stream.read(length))
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(asked["environment"])
    connection.sendall(bytes([run(asked["order"])]))
    os._exit(0)


def _end_with(connection: socket.socket) -> None:
    connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
