"""The command provider's stand-in, started and asked as the engine does it, with the lines it shows."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict, ParseDict
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.tools import toolchain

TOKEN = "command:remote:Command"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""An unknown value on the wire, and below the signature of a secret (sdk/go/common/resource/plugin/rpc.go)."""
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
WARNING, ERROR = engine_pb2.WARNING, engine_pb2.ERROR


def secret(value: object) -> dict[str, object]:
    """A secret as the engine sends it to a provider that accepts secrets."""
    return {SIGNATURE: SECRET, "value": value}


@dataclass
class Display(engine_pb2_grpc.EngineServicer):
    """Takes what goes to the engine's display. `lines`: beside the resource, with the time; `messages`: kept ones."""

    lines: list[tuple[str, float]] = field(default_factory=list)
    messages: list[tuple[int, str]] = field(default_factory=list)

    def Log(self, request: engine_pb2.LogRequest, _context: object) -> empty_pb2.Empty:  # noqa: N802
        if request.ephemeral:
            self.lines.append((request.message, time.monotonic()))
        else:
            self.messages.append((request.severity, request.message))
        return empty_pb2.Empty()

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.lines]

    def wait_for(self, text: str, seconds: float = 10) -> None:
        wait_until(lambda: text in self.texts, f"the line {text!r} on the display", seconds)


@dataclass
class CommandPlugin:
    """Inputs and states are what goes over the wire; failures are the words that the engine is told."""

    provider: provider_pb2_grpc.ResourceProviderStub
    display: Display
    process: subprocess.Popen[str]
    engine: grpc.Server

    def checked(self, token: str = TOKEN, **inputs: object) -> pb.CheckResponse:
        request = pb.CheckRequest(urn=urn(token), name="say", type=token, news=ParseDict(inputs, struct_pb2.Struct()))
        return self.provider.Check(request, timeout=10)

    def inputs(self, **inputs: object) -> struct_pb2.Struct:
        """Inputs as the engine keeps them: checked, with defaults."""
        response = self.checked(**inputs)
        assert not response.failures
        return response.inputs

    def create(self, *, timeout: float = 0, preview: bool = False, seconds: float = 30, **inputs: object) -> "State":
        """`timeout`: the resource's custom one. `seconds` bounds the call."""
        checked = self.inputs(**inputs)
        request = pb.CreateRequest(
            urn=urn(), name="say", type=TOKEN, properties=checked, timeout=timeout, preview=preview
        )
        return State(self.provider.Create(request, timeout=seconds).properties, checked)

    def update(self, state: "State", *, preview: bool = False, **inputs: object) -> "State":
        checked = self.inputs(**inputs)
        request = pb.UpdateRequest(
            id="say1", urn=urn(), olds=state.wire, news=checked, old_inputs=state.inputs, preview=preview
        )
        return State(self.provider.Update(request, timeout=30).properties, checked)

    def delete(self, state: "State") -> None:
        request = pb.DeleteRequest(id="say1", urn=urn(), properties=state.wire, old_inputs=state.inputs)
        self.provider.Delete(request, timeout=30)

    def diff(self, state: "State", **inputs: object) -> pb.DiffResponse:
        request = pb.DiffRequest(
            id="say1", urn=urn(), olds=state.wire, old_inputs=state.inputs, news=self.inputs(**inputs)
        )
        return self.provider.Diff(request, timeout=10)

    def cancel(self) -> None:
        """What the engine says at the first Ctrl-C."""
        self.provider.Cancel(empty_pb2.Empty(), timeout=10)


@dataclass
class State:
    wire: struct_pb2.Struct
    inputs: struct_pb2.Struct

    def __getitem__(self, name: str) -> object:
        return MessageToDict(self.wire)[name]

    def __contains__(self, name: str) -> bool:
        return name in self.wire


def urn(token: str = TOKEN) -> str:
    return f"urn:pulumi:stack::project::{token}::say"


@contextlib.contextmanager
def failing() -> Iterator[list[str]]:
    """A call of the plugin that must fail; at the end the list holds the words of the failure."""
    words: list[str] = []
    try:
        yield words
    except grpc.RpcError as error:
        words.append(error.details())
    else:
        raise AssertionError("the call succeeded")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Look again and again, since what is waited for is in another process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def command_plugin(**variables: str) -> Iterator[CommandPlugin]:
    """A plugin with `variables` in its environment. It is killed at the end, whatever it does."""
    display = Display()
    engine = grpc.server(futures.ThreadPoolExecutor(4))
    engine_pb2_grpc.add_EngineServicer_to_server(display, engine)
    port = engine.add_insecure_port("127.0.0.1:0")
    engine.start()
    environment = {"PATH": os.environ["PATH"], **variables}
    # Tests that run in the background of a shell ignore SIGINT, and so would the plugin.
    arguments = ["env", "--default-signal=INT", toolchain.command(), f"127.0.0.1:{port}"]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = f"127.0.0.1:{int(process.stdout.readline())}"
            with grpc.insecure_channel(address) as channel:
                plugin = CommandPlugin(provider_pb2_grpc.ResourceProviderStub(channel), display, process, engine)
                plugin.provider.Configure(
                    pb.ConfigureRequest(
                        acceptSecrets=True,
                        acceptResources=True,
                        sends_old_inputs=True,
                        sends_old_inputs_to_delete=True,
                    ),
                    timeout=10,
                )
                yield plugin
        finally:
            process.kill()
            engine.stop(None)
