"""How the engine starts and ends a plugin, and gets its messages."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from concurrent import futures
from types import FrameType
from typing import NoReturn, TypeVar

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

OPTIONS = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
"""The engine's own limits: a state may hold large values."""

_Servicer = TypeVar("_Servicer")


class Display:
    """The engine's display, reached through the address it gave on the command line."""

    def __init__(self) -> None:
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address(), OPTIONS))

    def info(self, line: str) -> None:
        """A line among the diagnostics of the whole run."""
        self._engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line))


def engine_address() -> str:
    """The engine's address: the first argument that is not a flag."""
    return next(argument for argument in sys.argv[1:] if not argument.startswith("-"))


def serve(add: Callable[[_Servicer, grpc.Server], None], servicer: _Servicer) -> NoReturn:
    """Serve on loopback until the engine says that it ends. A killed engine does not: we go on, as real plugins do."""
    gc.disable()  # a quarter of what it costs to load the SDK's modules, which stay; a plugin lives for one run
    server = grpc.server(futures.ThreadPoolExecutor(32), options=OPTIONS)
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGINT, _leave)  # the engine's way to end a plugin
    signal.signal(signal.SIGTERM, _leave)
    print(port, flush=True)  # the engine takes the port from the first line
    server.wait_for_termination()
    os._exit(0)


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(0)
