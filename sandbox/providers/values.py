"""The engine's property values as plain Python, and the differences between two of them."""

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
    """Plain properties: whole numbers as ints, secrets unwrapped.

    Secrets come wrapped only in CheckConfig, DiffConfig and Configure: elsewhere `acceptSecrets=False` has the engine
    unwrap them.
    """
    properties: Properties = _unwrapped(MessageToDict(message))
    return properties


def to_wire(properties: Properties) -> struct_pb2.Struct:
    """The message of plain properties."""
    return ParseDict(properties, struct_pb2.Struct())


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


def _unwrapped(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _unwrapped(value["value"])
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
