"""Faults of shape in a stack file: unknown and missing keys, surprise types, values outside their set or range."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from plan.problems import Problem, Refusal, names_a_secret, nearest_word
from plan.secret_values import marked
from plan.stack_file.settings import Settings

NAMESPACE = "mig-k8s"
LOCATION_KEY = "azure-native:location"
HOST_SECRETS = ("sshHostSecret", "sshOtherHostSecret")
"""The secrets of the machines' host keys: of those that are checked, and of those that are shown too."""
SECRET_KEYS = ("sshPrivateKey", "sshHostKey", *HOST_SECRETS, "rke2Token")
KNOWN_KEYS = tuple(field.alias or name for name, field in Settings.model_fields.items() if name != "location")
"""The keys of the namespace that are not secrets."""

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
}
_YAML_TYPES = {
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def shape_problem(fault: ErrorDetails) -> Problem:
    """What pydantic found, as a problem of the stack file."""
    location, kind, value = fault["loc"], fault["type"], fault["input"]
    path = path_of(location)
    context = fault.get("ctx", {})
    refusal = context.get("error")
    if isinstance(refusal, Refusal):
        return refusal.at(path, shown(value))
    if kind == "extra_forbidden":
        return _unknown_key(location, path, value)
    if kind == "missing":
        return Problem(path=path, value="", what="required, and missing", remedy=_REMEDIES.get(path, ""))
    if kind == "literal_error":
        return _outside_set(path, value, str(context["expected"]))
    if kind in _WANTED:
        return _surprise_type(path, value, kind)
    what = fault["msg"].replace("Input should", "should").replace("Tuple should", "should")
    return Problem(path=path, value=shown(value), what=what[0].lower() + what[1:])


_PLAIN = re.compile(r"[^\s\"'#,{}\[\]&*!|>%@`:][^\"'#{}\[\]\n\r\t]*")
_NOT_TEXT = re.compile(r"true|false|yes|no|on|off|null|~|[-+.\d]+(e\d+)?", re.IGNORECASE)
"""Text that YAML would read as something else, and that is therefore shown in quotes."""

_REMEDIES = {
    LOCATION_KEY: "pulumi config set azure-native:location westeurope",
    f"{NAMESPACE}:adminCidrs": "Give your own address with /32: curl -s https://ifconfig.me",
    f"{NAMESPACE}:ssh": "ssh: {publicKey: ssh-ed25519 AAAA…}, from: cat ~/.ssh/id_ed25519.pub",
    f"{NAMESPACE}:ssh.publicKey": "Paste what this prints: cat ~/.ssh/id_ed25519.pub",
}


def path_of(location: Iterable[int | str]) -> str:
    """A place in the settings as it is written in the stack file."""
    first, *rest = location
    if first == "location":
        return LOCATION_KEY
    path = f"{NAMESPACE}:{first}"
    for part in rest:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part == "[key]":
            continue
        else:
            path += f".{part}" if re.fullmatch(r"[\w-]+", part) else f'["{part}"]'
    return path


def shown(value: Any) -> str:  # noqa: ANN401 - whatever stood in the file
    """The value as it could stand in the file, at most 60 characters of it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value):
        text = value
    else:
        text = json.dumps(marked(value), ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _outside_set(path: str, value: object, expected: str) -> Problem:
    values = re.findall(r"'([^']*)'", expected)
    near = nearest_word(str(value), values)
    remedy = ""
    if str(value) in values:
        remedy = f'Put it in quotes: "{value}"'
    elif near:
        remedy = f"Write {near}."
    return Problem(
        path=path, value=shown(value), what="not one of the values", allowed=", ".join(values), remedy=remedy
    )


def _surprise_type(path: str, value: object, kind: str) -> Problem:
    if value is None:
        return Problem(
            path=path, value="null", what=f"empty; must be {_WANTED[kind]}", remedy="Fill it in or leave it out."
        )
    found = _YAML_TYPES.get(type(value), "something else")
    remedy = ""
    if kind == "string_type" and isinstance(value, bool):
        remedy = "YAML reads yes, no, on, off, true and false so: put the text in quotes."
    elif kind == "string_type" and isinstance(value, int | float):
        remedy = f'Put it in quotes: "{value}"'
    elif kind in {"int_type", "float_type", "bool_type"} and isinstance(value, str):
        remedy = "Write it without quotes."
    elif kind == "tuple_type" and path.endswith(".devices"):
        remedy = "Write indices, such as [0, 1]; for all GPUs alike, migDevices of the pool does it."
    elif kind == "tuple_type":
        remedy = f"Write [{value}]." if isinstance(value, str) else "Write a list: [...]"
    return Problem(path=path, value=shown(value), what=f"must be {_WANTED[kind]}, and is {found}", remedy=remedy)


def _unknown_key(location: tuple[int | str, ...], path: str, value: object) -> Problem:
    known = list(_keys_beside(location))
    written = str(location[-1])
    near = nearest_word(written, [*known, *SECRET_KEYS] if len(location) == 1 else known)
    homes = [place for key, place in _places(Settings, NAMESPACE + ":") if key == written and place not in path]
    remedy = "Leave it out."
    if near:
        remedy = f"Did you mean {near}?"
    elif homes:
        remedy = f"It stands under {' or '.join(homes)}."
    hide = near in SECRET_KEYS or names_a_secret(written)
    return Refusal("unknown key", allowed=", ".join(known), remedy=remedy, hide=hide).at(path, shown(value))


def _keys_beside(location: tuple[int | str, ...]) -> Iterator[str]:
    """The keys that may stand where the last key of `location` stands."""
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        if isinstance(part, str):
            field = next(field for name, field in model.model_fields.items() if part == (field.alias or name))
            model = next(_models(field.annotation))
    for name, field in model.model_fields.items():
        if not (model is Settings and name == "location"):
            yield field.alias or name


def _places(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """Every key of a section, with the path of the section it stands in."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if model is not Settings:
            yield key, path
        for below in _models(field.annotation):
            yield from _places(below, f"{path}{'' if path.endswith(':') else '.'}{key}")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - an annotation is any object
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
