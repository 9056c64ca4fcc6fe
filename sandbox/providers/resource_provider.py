"""The gRPC half of a provider: plain properties in, plain properties out; what came as a secret goes back as one.

A stand-in overrides the lower-case methods; the methods with gRPC's names are the engine's side.
"""

import importlib.metadata
import json
from collections.abc import Callable
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.rpc import status_pb2  # type: ignore[import-untyped]  # there are no types for it
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.providers import plugin
from sandbox.providers.values import Properties, changes, from_wire, to_wire, top, with_secrets_of

_Result = TypeVar("_Result")


class Failure(Exception):  # noqa: N818 - the field's word
    """The operation failed and changed nothing."""


class InvalidInput(Exception):  # noqa: N818
    """An input that the provider refuses before anything is done."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


class NotReady(Exception):  # noqa: N818
    """The resource exists with this id and state, but did not become ready: the engine keeps it and tries again."""

    def __init__(self, reason: str, resource_id: str, state: Properties) -> None:
        super().__init__(reason)
        self.resource_id, self.state = resource_id, state


class ResourceProvider(provider_pb2_grpc.ResourceProviderServicer):
    """What every stand-in shares: diff by property path, preview, failures as the engine wants them."""

    name = ""
    """The package, as in `pulumi-resource-NAME`."""
    accept_secrets = False
    """Whether secrets come wrapped. To others the engine unwraps them, and marks outputs of the same names itself."""

    @property
    def version(self) -> str:
        """That of the installed SDK: the engine wants a plugin at least as new."""
        return importlib.metadata.version(f"pulumi-{self.name}")

    def configure(self, config: Properties) -> None:
        """Take the provider's configuration; not called while it is unknown."""

    def replaced_configuration(self, _old: Properties, _new: Properties) -> list[str]:
        """Which configuration properties replace the provider, and with it every resource."""
        return []

    def check(self, _type: str, _name: str, _old: Properties, new: Properties, _seed: bytes) -> Properties:
        """The inputs with defaults and names filled in; raises InvalidInput."""
        return new

    def replaces(self, _type: str, _path: str) -> bool:
        """Whether a change at this path replaces the resource."""
        return False

    def preview(self, _type: str, _old: Properties, new: Properties) -> Properties:
        """What is known of the state before the operation; what is left out is unknown."""
        return new

    def create(self, kind: str, urn: str, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        """Make the resource: (id, state)."""
        raise NotImplementedError

    def update(self, kind: str, urn: str, old: Properties, new: Properties, timeout: float) -> Properties:
        """Change the resource: its new state. `old` is its state."""
        raise NotImplementedError

    def read(
        self, _type: str, resource_id: str, state: Properties, inputs: Properties
    ) -> tuple[str, Properties, Properties]:
        """(id, state, inputs) as they are now; an empty id says it is gone. Unless overridden, refresh sees nothing."""
        return resource_id, state, inputs

    def delete(self, kind: str, urn: str, resource_id: str, state: Properties) -> None:
        """Remove the resource; it is not a failure if it is already gone."""

    def invoke(self, function: str, arguments: Properties) -> Properties:
        """A function's result."""
        raise NotImplementedError

    # The engine's side.

    def GetPluginInfo(self, _request: object, _context: object) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.version)

    def GetSchema(self, _request: object, _context: object) -> pb.GetSchemaResponse:
        return pb.GetSchemaResponse(schema=json.dumps({"name": self.name, "version": self.version}))

    def CheckConfig(self, request: pb.CheckRequest, _context: object) -> pb.CheckResponse:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: pb.DiffRequest, _context: object) -> pb.DiffResponse:
        old, new = from_wire(request.old_inputs), from_wire(request.news)
        paths = [path for path, _ in changes(old, new)]
        outcome = pb.DiffResponse.DIFF_SOME if paths else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=outcome, diffs=paths, replaces=self.replaced_configuration(old, new))

    def Configure(self, request: pb.ConfigureRequest, _context: object) -> pb.ConfigureResponse:
        self.configure(from_wire(request.args))
        return pb.ConfigureResponse(
            acceptSecrets=self.accept_secrets, acceptResources=False, acceptOutputs=False, supportsPreview=True
        )

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
        old, new = from_wire(request.olds), from_wire(request.news)
        try:
            checked = _told(
                context, request.news, lambda: self.check(request.type, request.name, old, new, request.randomSeed)
            )
        except InvalidInput as error:
            failure = pb.CheckFailure(property=error.path, reason=str(error))
            return pb.CheckResponse(inputs=request.news, failures=[failure])
        return pb.CheckResponse(inputs=_answer(request.news, checked))

    def Diff(self, request: pb.DiffRequest, _context: object) -> pb.DiffResponse:
        found = list(changes(from_wire(request.old_inputs), from_wire(request.news)))
        replaces = [path for path, _ in found if self.replaces(request.type, path)]
        detailed = {
            path: pb.PropertyDiff(
                kind=pb.PropertyDiff.Kind.Value(f"{kind}_REPLACE" if path in replaces else kind), inputDiff=True
            )
            for path, kind in found
        }
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
            diffs=sorted({top(path) for path, _ in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and self.delete_before_replace,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    delete_before_replace = False
    """Whether its replacements cannot stand beside what they replace."""

    def Create(self, request: pb.CreateRequest, context: grpc.ServicerContext) -> pb.CreateResponse:
        inputs = from_wire(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=_answer(request.properties, self.preview(request.type, {}, inputs)))
        made, state = _told(
            context, request.properties, lambda: self.create(request.type, request.urn, inputs, request.timeout)
        )
        return pb.CreateResponse(id=made, properties=_answer(request.properties, state))

    def Read(self, request: pb.ReadRequest, context: grpc.ServicerContext) -> pb.ReadResponse:
        state, inputs = from_wire(request.properties), from_wire(request.inputs)
        found, state, inputs = _told(
            context, request.properties, lambda: self.read(request.type, request.id, state, inputs)
        )
        if not found:  # without properties, as the real ones: the engine tells by that that there is nothing to import
            return pb.ReadResponse()
        return pb.ReadResponse(
            id=found, properties=_answer(request.properties, state), inputs=_answer(request.inputs, inputs)
        )

    def Update(self, request: pb.UpdateRequest, context: grpc.ServicerContext) -> pb.UpdateResponse:
        old, new = from_wire(request.olds), from_wire(request.news)
        if request.preview:
            return pb.UpdateResponse(properties=_answer(request.news, self.preview(request.type, old, new)))
        state = _told(context, request.news, lambda: self.update(request.type, request.urn, old, new, request.timeout))
        return pb.UpdateResponse(properties=_answer(request.news, state))

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        state = from_wire(request.properties)
        _told(context, request.properties, lambda: self.delete(request.type, request.urn, request.id, state))
        return empty_pb2.Empty()

    def Invoke(self, request: pb.InvokeRequest, context: grpc.ServicerContext) -> pb.InvokeResponse:
        result = _told(context, request.args, lambda: self.invoke(request.tok, from_wire(request.args)))
        response = pb.InvokeResponse()
        getattr(response, "return").CopyFrom(to_wire(result))  # the field's name is a keyword of Python
        return response

    def Cancel(self, _request: object, _context: object) -> empty_pb2.Empty:
        return empty_pb2.Empty()


def _answer(asked: struct_pb2.Struct, properties: Properties) -> struct_pb2.Struct:
    return to_wire(with_secrets_of(asked, properties))


def _told(context: grpc.ServicerContext, asked: struct_pb2.Struct, work: Callable[[], _Result]) -> _Result:
    """The result of `work`, or the failure told to the engine in its own terms."""
    try:
        return work()
    except NotReady as error:
        detail = any_pb2.Any()
        reasons, state = [str(error)], _answer(asked, error.state)
        detail.Pack(pb.ErrorResourceInitFailed(id=error.resource_id, properties=state, reasons=reasons))
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Failure as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError("abort returned")


def serve(provider: ResourceProvider) -> NoReturn:
    """Run a provider as a plugin of the engine."""
    plugin.serve(provider_pb2_grpc.add_ResourceProviderServicer_to_server, provider)
