"""A stack file read without Pulumi: YAML that is broken, ambiguous or says a thing twice is refused."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from plan.problems import Problem, Problems, nearest_word
from plan.reading import SECRET_KEYS
from plan.shapes import LOCATION_KEY, NAMESPACE

_TOP_LEVEL = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment")
_TAG = "tag:yaml.org,2002:"
_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast, where it was built


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFile:
    """A stack file, taken apart as `read_settings` wants it."""

    mapping: dict[str, Any]
    location: object
    secrets: frozenset[str]


def read_stack_file(path: Path) -> StackFile:
    """The stack file at `path`. Raises Problems."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Problems([Problem(path=str(path), value="", what="there is no such file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problems([Problem(path=str(path), value="", what=f"cannot be read: {error}")]) from None
    return parse(text, name=path.name)


def parse(text: str, *, name: str) -> StackFile:
    """The stack file with this text; `name` is what problems call it."""
    document = _load(text, name)
    if document is None:
        remedy = "Begin with config: and the three required keys; docs/config-reference.yaml has them all."
        raise Problems([Problem(path=name, value="", what="the file is empty", remedy=remedy)])
    if not isinstance(document, dict):
        raise Problems([Problem(path=name, value="", what="not a mapping", allowed="config: and keys below it")])
    problems = [_unknown_top_level(key) for key in document if key not in _TOP_LEVEL]
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise Problems([*problems, Problem(path="config", value="", what="not a mapping", allowed="keys and values")])
    mapping: dict[str, Any] = {}
    for key, value in config.items():
        namespace, colon, rest = key.partition(":")
        own = rest if colon else key
        if colon and namespace != NAMESPACE:
            if nearest_word(namespace, [NAMESPACE]):
                remedy = f"Did you mean {NAMESPACE}:{rest}?"
                problems.append(Problem(path=key, value="", what="unknown namespace", remedy=remedy))
        elif own in mapping:
            what = f"said twice: {own} and {NAMESPACE}:{own} are the same key"
            problems.append(Problem(path=key, value="", what=what))
        else:
            mapping[own] = value
    if problems:
        raise Problems(problems)
    encrypted = [key for key in SECRET_KEYS if _is_encrypted(mapping.get(key))]
    rest = {key: value for key, value in mapping.items() if key not in encrypted}
    secrets = frozenset([*encrypted, *(key for key, value in rest.items() if _holds_encrypted(value))])
    return StackFile(mapping=rest, location=config.get(LOCATION_KEY), secrets=secrets)


def _unknown_top_level(key: str) -> Problem:
    near = nearest_word(key, _TOP_LEVEL)
    remedy = f"Did you mean {near}?" if near else "Settings of the program belong below config:"
    return Problem(path=key, value="", what="unknown key", allowed=", ".join(_TOP_LEVEL), remedy=remedy)


def _is_encrypted(value: object) -> bool:
    return isinstance(value, dict) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _holds_encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return _is_encrypted(value) or any(map(_holds_encrypted, value.values()))
    return isinstance(value, list) and any(map(_holds_encrypted, value))


def _load(text: str, name: str) -> object:
    loader = _Loader(text)
    try:
        document: object = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        what = " ".join(filter(None, [error.context, error.problem]))
        remedy = "Indent with spaces, and put text with : or # into quotes."
        raise Problems([Problem(path=name + line, value="", what=f"broken YAML: {what}", remedy=remedy)]) from None
    except yaml.YAMLError as error:
        raise Problems([Problem(path=name, value="", what=f"broken YAML: {error}")]) from None
    finally:
        loader.dispose()
    if loader.surprises:
        raise Problems(
            Problem(path=f"{name}, line {line}", value=value, what=what, remedy=remedy)
            for line, value, what, remedy in loader.surprises
        )
    return document


class _Loader(_Base):  # type: ignore[valid-type,misc]  # the base is chosen when this module is read
    """A loader that keeps what YAML readers disagree about: duplicate keys and scalars of surprising types."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.surprises: list[tuple[int, str, str, str]] = []

    def note(self, node: yaml.Node, what: str, remedy: str) -> None:
        """Keep a surprise for the report."""
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        self.surprises.append((node.start_mark.line + 1, value, what, remedy))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag == _TAG + "merge":
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
            loader.note(key, "a key that YAML does not read as text", "Put it in quotes.")
        elif key.value in seen:
            loader.note(key, "this key is in its mapping twice; readers disagree which one counts", "Keep one of them.")
        else:
            seen.add(key.value)
    loader.flatten_mapping(node)
    return {str(loader.construct_object(k, deep=True)): loader.construct_object(v, deep=True) for k, v in node.value}


def _boolean(loader: _Loader, node: yaml.ScalarNode) -> object:
    if node.value not in {"true", "false"}:
        remedy = f'Write true or false, or "{node.value}" in quotes if it is text.'
        loader.note(node, "YAML readers disagree whether this is text or true/false", remedy)
    return loader.construct_yaml_bool(node)


def _number(loader: _Loader, node: yaml.ScalarNode) -> object:
    text = str(node.value)
    if not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
        loader.note(node, "YAML readers disagree which number this is", f'Put it in quotes: "{text}"')
    return loader.construct_yaml_int(node) if node.tag == _TAG + "int" else loader.construct_yaml_float(node)


def _date(loader: _Loader, node: yaml.ScalarNode) -> object:
    loader.note(node, "YAML reads this as a date", f'Put it in quotes: "{node.value}"')
    return node.value


for _kind, _constructor in (
    ("map", _mapping),
    ("bool", _boolean),
    ("int", _number),
    ("float", _number),
    ("timestamp", _date),
):
    _Loader.add_constructor(_TAG + _kind, _constructor)
