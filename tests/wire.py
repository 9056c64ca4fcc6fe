"""Values as they cross the wire between the program and the engine: what in them is secret, and what unknown."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc

Wire = Any
"""A value as it crosses the wire: JSON, or a protobuf message."""


def _is_secret(value: Wire) -> bool:
    return isinstance(value, Mapping) and value.get(rpc._special_sig_key) == rpc._special_secret_sig


def as_secret(properties: Struct, name: str) -> Wire:
    """One of these properties, wrapped as a secret; unknown when it is not there."""
    value = MessageToDict(properties).get(name, rpc.UNKNOWN)
    return value if _is_secret(value) else {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def opened(value: Wire) -> Wire:
    """The value with every secret in it opened."""
    if isinstance(value, Mapping):
        if rpc._special_sig_key in value:
            return opened(value.get("value"))
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def inside(value: Wire) -> Wire:
    """What a secret holds, itself and no copy; any other value as it is."""
    return value["value"] if _is_secret(value) else value


def in_clear(value: Wire) -> Wire:
    """The value without its secrets: what would stand readable in state."""
    if isinstance(value, Mapping):
        return None if rpc._special_sig_key in value else {key: in_clear(item) for key, item in value.items()}
    return [in_clear(item) for item in value] if isinstance(value, list) else value


def holds_secret(value: Wire) -> bool:
    """Whether the value or anything in it is secret."""
    return any(secret for _, _, secret, _ in leaves(value))


def holds_unknown(value: Wire) -> bool:
    """Whether the value or anything in it is unknown yet."""
    return any(leaf == rpc.UNKNOWN for _, leaf, _, _ in leaves(value))


def unknown_secrets_in_lists(value: Wire) -> list[str]:
    """Paths of what is unknown, below a list, and secret itself or below a secret: the command provider loses it."""
    return [path for path, leaf, secret, listed in leaves(value) if leaf == rpc.UNKNOWN and secret and listed]


def leaves(
    value: Wire, path: str = "", *, secret: bool = False, listed: bool = False
) -> Iterator[tuple[str, Wire, bool, bool]]:
    """Everything in the value that has no parts: (path, value, whether it is secret, whether a list is above it)."""
    if _is_secret(value):
        yield from leaves(value.get("value"), path, secret=True, listed=listed)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}", secret=secret, listed=listed)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]", secret=secret, listed=True)
    else:
        yield path, value, secret, listed
