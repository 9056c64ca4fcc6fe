"""Runs a Pulumi program, above all the real `__main__.py`, against a monitor that records what it asks for."""

import asyncio
import contextvars
import copy
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pulumi
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import mocks, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import source_pb2
from pulumi.runtime.rpc import UNKNOWN
from pulumi.runtime.stack import run_pulumi_func

from wire import Wire, as_secret, inside, opened

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:6443
  name: default
"""
_PUBLIC_ADDRESSES = {"mlops-k8s-master-ip": "198.51.100.10"}
_PRIVATE_ADDRESSES = {"mlops-k8s-master-nic": "10.60.0.4"}
VERIFICATION_REPORT = {"version": 1, "passed": True, "checks": [], "devices": []}


@dataclass(frozen=True)
class Encrypted:
    """A value that the stack file holds encrypted; the engine gives it in clear, with its key marked."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the program registered it."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    """By wire name; secrets as {signature: …, "value": …}."""
    request: Wire
    """The whole RegisterResourceRequest, for the resource options."""

    @property
    def stays(self) -> bool:
        return bool(self.request.retainOnDelete)

    def plain(self, *path: str | int) -> Wire:
        """The input at this path with its secrets opened."""
        value: Wire = opened(self.inputs)
        for part in path:
            value = value[part]
        return value


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One stack output."""

    value: Any
    secret: bool
    known: bool


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Everything a finished run of the program registered and exported."""

    resources: list[Registered]
    exports: dict[str, Exported]
    asked: list[str]
    """The virtual machines of which the program asked whether they run."""

    def of(self, type_name: str) -> list[Registered]:
        """All resources whose type token ends with this."""
        return [resource for resource in self.resources if resource.type.endswith(f":{type_name}")]

    def one(self, name: str, type_name: str = "") -> Registered:
        """The only resource of this name that is not a component, or that has this type."""
        found = [
            resource
            for resource in self.resources
            if resource.name == name
            and (resource.type.endswith(f":{type_name}") if type_name else resource.request.custom)
        ]
        assert len(found) == 1, f"{len(found)} resources {name}; there are {[each.name for each in self.resources]}"
        return found[0]

    def commands(self) -> list[Registered]:
        """What is run on machines that are there; a removal is run only when its machine goes."""
        return [each for each in self.resources if each.type == "command:remote:Command" and "create" in each.inputs]

    def waits_for(self, later: Registered, earlier: Registered) -> bool:
        """Whether the engine makes `later` only when `earlier` is there."""
        by_urn = {resource.urn: resource for resource in self.resources}
        seen: set[str] = set()
        open_urns = [later.urn]
        while open_urns:
            resource = by_urn[open_urns.pop()]
            provider = resource.request.provider.rpartition("::")[0]
            for urn in {*resource.request.dependencies, *({provider} & by_urn.keys())} - seen:
                seen.add(urn)
                open_urns.append(urn)
        return earlier.urn in seen


class Refused(grpc.RpcError):
    """A provider's error as it comes over the wire."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)


class Cloud(mocks.Mocks):
    """Answers as the providers would, as far as the program uses an answer.

    `unmade`: how the names of the resources begin that a preview would make or replace: nothing is known of them.
    `azure_names`: virtual machines that have another name in Azure, by the name of the resource.
    `statuses`: the codes of a virtual machine's instance view, by its name in Azure; one with a space is an error.
    """

    def __init__(
        self, *, unmade: Sequence[str], azure_names: Mapping[str, str], statuses: Mapping[str, Sequence[str]]
    ) -> None:
        self._unmade, self._azure_names, self._statuses = tuple(unmade), azure_names, statuses
        self.asked: list[str] = []

    def call(self, args: mocks.MockCallArgs) -> Wire:
        assert args.token == "azure-native:compute:getVirtualMachine", f"the program asks the cloud {args.token}"
        assert args.args["expand"] == "instanceView"
        name = args.args["vmName"]
        self.asked.append(name)
        codes = self._statuses.get(name, ["PowerState/running"])
        if refused := [code for code in codes if " " in code]:
            raise Refused(*refused)
        return {"instanceView": {"statuses": [{"code": code} for code in codes]}}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.name.startswith(self._unmade):
            return None, args.inputs | _unknown_inside(args)
        return f"/ids/{args.name}", {**args.inputs, **self._computed(args)}

    def _computed(self, args: mocks.MockResourceArgs) -> dict[str, Any]:
        match args.typ:
            case "azure-native:network:PublicIPAddress":
                return {"name": args.name, "ipAddress": _public_address(args.name)}
            case "azure-native:network:NetworkInterface":
                return {"name": args.name, **_with_private_address(args, private_address(args.name))}
            case "azure-native:compute:VirtualMachine":
                return {
                    "name": self._azure_names.get(args.name, args.inputs["vmName"]),
                    "vmId": f"vm_id of {args.name}",
                }
            case "pulumi:index:Stash":
                return {"output": args.inputs["input"]}
            case "command:remote:Command":
                return {"stdout": _stdout(args.inputs.get("create", "")), "stderr": ""}
            case _:
                return {} if args.typ.startswith("kubernetes:") else {"name": args.name}


def _public_address(name: str) -> str:
    """An address that follows from the name, because the order of resources differs from run to run."""
    return _PUBLIC_ADDRESSES.get(name) or f"198.51.100.{20 + zlib.crc32(name.encode()) % 200}"


def private_address(interface: str) -> str:
    """One that follows from the interface's name alone, as if Azure had chosen it long ago."""
    return _PRIVATE_ADDRESSES.get(interface) or f"10.60.0.{5 + zlib.crc32(interface.encode()) % 250}"


def _with_private_address(args: mocks.MockResourceArgs, address: str) -> dict[str, Any]:
    return {
        "ipConfigurations": [{**setting, "privateIPAddress": address} for setting in args.inputs["ipConfigurations"]]
    }


def _unknown_inside(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """What Azure would fill in, where the inputs are a part of it."""
    return _with_private_address(args, UNKNOWN) if args.typ == "azure-native:network:NetworkInterface" else {}


def _stdout(command: str) -> str:
    if "rke2.yaml" in command:
        return LOCAL_KUBECONFIG
    return json.dumps(VERIFICATION_REPORT) if "mig-k8s verify" in command else ""


class RecordingMonitor(mocks.MockMonitor):
    """The SDK's own mock of the engine, which also keeps the resource options and refuses a URN's second use.

    As the engine does and the SDK's mock does not, it returns additional secret outputs as secrets.
    """

    def __init__(self, cloud: Cloud, lived: Graph | None) -> None:
        super().__init__(cloud)
        self.registered: list[Registered] = []
        self._lived = {each.urn: each for each in lived.resources} if lived else {}
        self._older_names: dict[str, str] = {}

    def RegisterResource(self, request: Wire) -> Wire:  # noqa: N802 - gRPC's name
        before = self._before(request)
        if before is not None and request.ignoreChanges and not _is_triggered(before, request):
            kept = json_format.MessageToDict(request.object)
            for path in request.ignoreChanges:
                _reset(kept, before.inputs, path)
            request.object.CopyFrom(json_format.ParseDict(kept, Struct()))
        response = super().RegisterResource(request)
        if before is not None and request.type == "pulumi:index:Stash" and not _is_triggered(before, request):
            response.object.update({"output": before.inputs["input"]})
        assert response.urn not in {each.urn for each in self.registered}, f"Duplicate resource URN '{response.urn}'"
        self.registered.append(
            Registered(
                type=request.type,
                name=request.name,
                urn=response.urn,
                inputs=json_format.MessageToDict(request.object),
                request=request,
            )
        )
        for name in request.additionalSecretOutputs:
            response.object.update({name: as_secret(response.object, name)})
        return response

    def _before(self, request: Wire) -> Registered | None:
        """The resource that the state has for this one: of its URN, or of its own or its parent's alias."""
        parent = request.parent.rpartition("::")[2]
        urn = self._urn(request, request.name)
        if urn not in self._lived:
            own = [alias.spec.name for alias in request.aliases if alias.spec.name]
            if request.parent in self._older_names:
                own += [f"{self._older_names[request.parent]}{request.name.removeprefix(parent)}"]
            for name in own:
                if (older := self._urn(request, name)) in self._lived:
                    self._older_names[urn] = name
                    return self._lived[older]
        return self._lived.get(urn)

    def _urn(self, request: Wire, name: str) -> str:
        return str(self.make_urn(request.parent, request.type, name))


def run_program(
    program: Callable[[], object],
    config: Mapping[str, str | Encrypted] | None = None,
    *,
    preview: bool = False,
    unmade: Sequence[str] | None = None,
    azure_names: Mapping[str, str] | None = None,
    statuses: Mapping[str, Sequence[str]] | None = None,
    lived: Graph | None = None,
) -> Graph:
    """Runs a Pulumi program to its end, all outputs included, in an event loop, a context and a thread of its own.

    A preview is that of a new stack, or, with `unmade` (see `Cloud`), that of a living one.
    `azure_names`, `statuses`: see `Cloud`.
    `lived`: an earlier run, whose resources the state has: what is ignored of theirs is as it was then.

    What belongs to Azure's other API versions, where in the program each resource stands, and what the SDK tells of its
    own work (270 messages in a run) is left away for speed.
    """
    unmade = ([""] if preview else []) if unmade is None else unmade
    cloud = Cloud(unmade=unmade, azure_names=azure_names or {}, statuses=statuses or {})
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(
            contextvars.copy_context().run, _run, program, config or {}, preview, RecordingMonitor(cloud, lived)
        ).result()


def _run(
    program: Callable[[], object], config: Mapping[str, str | Encrypted], preview: bool, monitor: "RecordingMonitor"
) -> Graph:
    settings.reset_options()
    exports: dict[str, Exported] = {}

    def main() -> None:
        pulumi.runtime.register_stack_transformation(_without_other_versions)
        program()

    async def whole() -> None:
        await run_pulumi_func(main)
        root = settings.get_root_resource()
        assert isinstance(root, pulumi.runtime.stack.Stack)
        for name, value in root.outputs.items():
            exports[name] = await _exported(value)

    loop = asyncio.new_event_loop()
    of_threads: list[asyncio.AbstractEventLoop] = []
    executor = ThreadPoolExecutor(1, initializer=lambda: of_threads.append(_own_loop()))
    loop.set_default_executor(executor)
    # A program that failed leaves outputs nobody looked at. As in Pulumi's own host, asyncio says nothing of them: the
    # failure itself is raised below, and a report out of a garbage collection breaks whatever parses then.
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    ended = False
    try:
        mocks.set_mocks(monitor.mocks, project="mig-k8s", stack="test", preview=preview, monitor=monitor)
        set_all_config(
            {key: value.text if isinstance(value, Encrypted) else value for key, value in config.items()},
            [key for key, value in config.items() if isinstance(value, Encrypted)],
        )
        with (
            mock.patch.object(pulumi.runtime.resource, "_get_stack_trace", source_pb2.StackTrace),
            mock.patch.object(pulumi.log, "debug", _unsaid),
        ):
            loop.run_until_complete(whole())
        ended = True
    finally:
        if not ended:
            loop.run_until_complete(_left_over())
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        for each in (loop, *of_threads):
            each.close()
    resources = [each for each in monitor.registered if each.type != "pulumi:pulumi:Stack"]
    return Graph(resources=resources, exports=exports, asked=monitor.mocks.asked)


def _is_triggered(before: Registered, request: Wire) -> bool:
    """Whether the resource is replaced because its trigger is another one."""
    return bool(request.replacement_trigger != before.request.replacement_trigger)


def _reset(inputs: Wire, before: Wire, path: str) -> None:
    """Put what stood at a path into the place of what stands there, as the engine does with what is ignored."""
    *above, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
    for part in above:
        inputs, before = inside(inputs[part]), inside(before[part])
    if last in before:
        inputs[last] = before[last]
    else:
        inputs.pop(last, None)


def _unsaid(*_message: object, **_options: object) -> None:
    """In the place of what would be said."""


_API_VERSION = re.compile(r"(azure-native:\w+)/v\d{8}\w*(:\w+)")


def _without_other_versions(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Takes away the aliases that only name another API version of the same type; any other alias stays.

    Azure's generated classes have them, fifty for one address, and the SDK makes ten outputs of each: more than half of
    a run's time, for something that the program neither gives nor reads.
    """
    options = copy.copy(resource.opts)
    options.aliases = [each for each in options.aliases or () if not _is_other_version(each, resource.type_)] or None
    return pulumi.ResourceTransformationResult(resource.props, options)


_PLAIN_ALIAS = vars(pulumi.Alias())


def _is_other_version(alias: object, type_name: str) -> bool:
    if not isinstance(alias, pulumi.Alias) or not isinstance(alias.type_, str):
        return False
    only_a_type = vars(alias) == {**_PLAIN_ALIAS, "type_": alias.type_}
    return only_a_type and _API_VERSION.sub(r"\1\2", alias.type_) == type_name


def _own_loop() -> asyncio.AbstractEventLoop:
    """A loop for this thread: the SDK's mock would make one as well, and leave it open when the thread ends."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


async def _left_over() -> None:
    """Ends what a failed program left waiting, so that nothing of it runs in a later test."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _exported(value: object) -> Exported:
    output: pulumi.Output[Any] = pulumi.Output.from_input(value)
    return Exported(
        value=await output.future(with_unknowns=True), secret=await output.is_secret(), known=await output.is_known()
    )
