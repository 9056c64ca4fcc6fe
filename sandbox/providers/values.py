"""The engine's property values as plain Python, their secrets beside them, and the differences between two of them.

Output values, which know their dependencies, never come: the engine sends them to a provider with `acceptOutputs` only,
and neither azure-native nor kubernetes says that.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

Properties: TypeAlias = dict[str, Any]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What a value not known before the update looks like on the wire (sdk/go/common/resource/plugin/rpc.go)."""
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_ABSENT = object()


def from_wire(message: struct_pb2.Struct) -> Properties:
    """Plain properties: whole numbers as ints, secrets unwrapped. `with_secrets_of` puts the secrets back."""
    properties: Properties = _unwrapped(MessageToDict(message))
    return properties


def to_wire(properties: Properties) -> struct_pb2.Struct:
    """The message of properties."""
    return ParseDict(properties, struct_pb2.Struct())


def with_secrets_of(message: struct_pb2.Struct, properties: Properties) -> Properties:
    """`properties`, with all that is secret what stands in `message` in the same place as a secret.

    An object in both is looked into; whatever else holds a secret in `message` becomes one as a whole, a list too. So
    does pulumi-kubernetes (annotateSecrets in provider/pkg/provider/provider.go).
    """
    return _marked(properties, MessageToDict(message))


def changes(old: object, new: object, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, ADD | DELETE | UPDATE) for every leaf that differs; paths as Pulumi's: `tags["a.b"]`, `rules[0].name`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            below = f"{path}.{key}".lstrip(".") if key.isidentifier() else f"{path}[{json.dumps(key)}]"
            yield from changes(old.get(key, _ABSENT), new.get(key, _ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (items[index] if index < len(items) else _ABSENT for items in (old, new))
            yield from changes(before, after, f"{path}[{index}]")
    elif old is _ABSENT:
        yield path, "ADD"
    elif new is _ABSENT:
        yield path, "DELETE"
    elif old != new:
        yield path, "UPDATE"


def top(path: str) -> str:
    """The property a path begins with."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def has_unknown(value: object) -> bool:
    """Whether anything in `value` is unknown yet."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value == UNKNOWN


def _marked(properties: Properties, wrapped: Properties) -> Properties:
    marked = dict(properties)
    for key, given in wrapped.items():
        if key not in marked:
            continue
        if isinstance(marked[key], dict) and isinstance(given, dict) and not _is_secret(given):
            marked[key] = _marked(marked[key], given)
        elif _has_secret(given) and not _is_secret(marked[key]):
            marked[key] = {_SIGNATURE: _SECRET, "value": marked[key]}
    return marked


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET


def _has_secret(value: object) -> bool:
    if isinstance(value, dict):
        return _is_secret(value) or any(_has_secret(item) for item in value.values())
    return isinstance(value, list) and any(_has_secret(item) for item in value)


def _unwrapped(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, dict):
        if _is_secret(value):
            return _unwrapped(value["value"])
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
