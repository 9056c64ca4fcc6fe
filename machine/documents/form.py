"""Dataclasses as JSON documents with a version, read strictly and with an error that says where.

A field `on_change` is the key `onChange`. A document that a newer release wrote may have keys or a version that this
one does not know: that is said in words, never guessed at.
"""

import dataclasses
import json
import types
import typing
from typing import Any, ClassVar, TypeVar

_Form = TypeVar("_Form", bound="Form")
_Document = TypeVar("_Document", bound="Document")
_FIELDS: dict[type["Form"], dict[str, tuple[str, Any, bool]]] = {}
"""By form, resolved at its first use: key → the field's name, its type, and whether it has to be there."""
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class DocumentError(Exception):
    """A document is not understood. The text says which one, where, and what was expected; no value stands in it."""


@dataclasses.dataclass(frozen=True)
class Form:
    """A part of a document. `RETIRED`: keys that older releases wrote and that nobody reads any more."""

    RETIRED: ClassVar[frozenset[str]] = frozenset()


@dataclasses.dataclass(frozen=True)
class Document(Form):
    """A whole document. `NAME` is how people call it, `VERSION` is raised when a key changes its meaning."""

    NAME: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def to_json(self) -> str:
        """The document as text, with a line feed at its end."""
        return json.dumps({"version": self.VERSION, **_plain(self)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls: type[_Document], text: str) -> _Document:
        """The document that `text` holds. Raises DocumentError."""
        try:
            data = json.loads(text)
        except ValueError:  # never the text itself: it may be secret
            raise DocumentError(f"{cls.NAME} is not JSON") from None
        if not isinstance(data, dict) or type(data.get("version")) is not int:
            raise DocumentError(f"{cls.NAME} has no version")
        if data["version"] != cls.VERSION:
            raise DocumentError(
                f"{cls.NAME} has version {data['version']}, this release of mig-k8s understands {cls.VERSION}: "
                "`pulumi up` of the checkout that wrote it brings the release that fits"
            )
        return _form(cls, {key: value for key, value in data.items() if key != "version"}, cls.NAME)


def _key(field_name: str) -> str:
    """`on_change` → `onChange`."""
    first, *rest = field_name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value that a form holds
    if isinstance(value, Form):
        return {key: _plain(getattr(value, name)) for key, (name, _, _) in _fields(type(value)).items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _fields(form: type[Form]) -> dict[str, tuple[str, Any, bool]]:
    if form not in _FIELDS:
        kinds = typing.get_type_hints(form)
        _FIELDS[form] = {
            _key(field.name): (
                field.name,
                kinds[field.name],
                field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            )
            for field in dataclasses.fields(form)
        }
    return _FIELDS[form]


def _form(form: type[_Form], data: object, where: str) -> _Form:
    if not isinstance(data, dict):
        raise DocumentError(f"{where}: an object is expected")
    fields = _fields(form)
    if unknown := sorted(set(data) - set(fields) - form.RETIRED):
        raise DocumentError(
            f"{where}: this release of mig-k8s does not know {', '.join(unknown)}: "
            "`pulumi up` of the checkout that wrote it brings the release that fits"
        )
    values = {}
    for key, (name, kind, is_needed) in fields.items():
        if key in data:
            values[name] = _value(kind, data[key], f"{where}: {key}")
        elif is_needed:
            raise DocumentError(f"{where}: {key} is missing")
    try:
        return form(**values)
    except ValueError as error:  # a rule of the form itself
        raise DocumentError(f"{where}: {error}") from None


def _value(kind: Any, data: Any, where: str) -> Any:  # noqa: ANN401 - a type annotation and a JSON value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (one,) = [argument for argument in arguments if argument is not type(None)]
        return None if data is None else _value(one, data, where)
    if origin is typing.Literal:
        if data not in arguments:
            raise DocumentError(f"{where}: one of {', '.join(map(str, arguments))} is expected")
        return data
    if origin in (tuple, dict):
        return _many(origin, arguments, data, where)
    if issubclass(kind, Form):
        return _form(kind, data, where)
    if kind is float and type(data) is int:
        return float(data)
    if type(data) is not kind:
        raise DocumentError(f"{where}: {_WORDS[kind]} is expected")
    return data


def _many(origin: type, arguments: tuple[Any, ...], data: object, where: str) -> Any:  # noqa: ANN401 - tuple or dict
    if origin is tuple:
        if not isinstance(data, list):
            raise DocumentError(f"{where}: a list is expected")
        return tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if not isinstance(data, dict):
        raise DocumentError(f"{where}: an object is expected")
    return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
