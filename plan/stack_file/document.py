"""A stack file read without Pulumi: YAML that is broken, ambiguous or says a thing twice is refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plan.problems import Problem, Problems, nearest_word
from plan.stack_file import strict_yaml
from plan.stack_file.configuration_size import size_problems
from plan.stack_file.shapes import LOCATION_KEY, NAMESPACE, SECRET_KEYS

_TOP_LEVEL = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment")


@dataclass(frozen=True, kw_only=True, slots=True)
class StackFile:
    """A stack file, taken apart as `read_settings` wants it."""

    mapping: dict[str, Any]
    location: object
    secrets: frozenset[str]


def read_stack_file(path: Path) -> StackFile:
    """The stack file at `path`. Raises Problems."""
    try:
        return parse(path.read_text(encoding="utf-8"), name=path.name)
    except FileNotFoundError:
        what, remedy = "there is no such file", "`make new-stack NAME=…` writes one; examples/ has complete ones."
    except IsADirectoryError:
        what, remedy = "is a folder, not a stack file", "Name the file in it, such as Pulumi.dev.yaml."
    except OSError as error:
        what, remedy = f"cannot be read: {error.strerror}", ""
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what, remedy = f"is not UTF-8 text: byte 0x{error.object[error.start]:02x} in line {line}", "Save it as UTF-8."
    raise Problems([Problem(path=str(path), value="", what=what, remedy=remedy)])


def parse(text: str, *, name: str) -> StackFile:
    """The stack file with this text; `name` is what problems call it."""
    document = strict_yaml.load(text, name=name)
    if document is None:
        remedy = "Begin with config: and the three required keys; docs/config-reference.yaml has them all."
        raise Problems([Problem(path=name, value="", what="the file is empty", remedy=remedy)])
    if not isinstance(document, dict):
        raise Problems([Problem(path=name, value="", what="not a mapping", allowed="config: and keys below it")])
    problems = [_unknown_top_level(key) for key in document if key not in _TOP_LEVEL]
    config = {} if document.get("config") is None else document["config"]
    if not isinstance(config, dict):
        raise Problems([*problems, Problem(path="config", value="", what="not a mapping", allowed="keys and values")])
    problems += [*_misnamed(config), *size_problems(config, project=NAMESPACE)]
    if problems:
        raise Problems(problems)
    mapping = {key.removeprefix(f"{NAMESPACE}:"): value for key, value in config.items() if _is_ours(key)}
    encrypted = [key for key in SECRET_KEYS if _is_encrypted(mapping.get(key))]
    rest = {key: value for key, value in mapping.items() if key not in encrypted}
    secrets = frozenset([*encrypted, *(key for key, value in rest.items() if _holds_encrypted(value))])
    return StackFile(mapping=rest, location=config.get(LOCATION_KEY), secrets=secrets)


def _is_ours(key: str) -> bool:
    """Whether a key is this project's: Pulumi takes one without a namespace for it too."""
    return key.startswith(f"{NAMESPACE}:") or ":" not in key


def _misnamed(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Keys that would be ignored, or be taken for others."""
    for key, value in config.items():
        namespace, colon, rest = key.partition(":")
        if key == NAMESPACE and value and isinstance(value, dict):
            remedy = f"Write {', '.join(f'{NAMESPACE}:{below}' for below in value)} directly below config."
            yield Problem(path=key, value="", what="each key in it must begin with the namespace itself", remedy=remedy)
        elif not colon and f"{NAMESPACE}:{key}" in config:
            what = f"said twice: {key} and {NAMESPACE}:{key} are the same key"
            yield Problem(path=f"{NAMESPACE}:{key}", value="", what=what, remedy="Keep one of them.")
        elif key.lower() == LOCATION_KEY != key:
            yield Problem(path=key, value="", what="unknown key", remedy=f"Did you mean {LOCATION_KEY}?")
        elif colon and namespace != NAMESPACE and nearest_word(namespace, [NAMESPACE]):
            yield Problem(path=key, value="", what="unknown namespace", remedy=f"Did you mean {NAMESPACE}:{rest}?")
    if _is_encrypted(config.get(LOCATION_KEY)):
        what = "is encrypted, and cannot be checked without its key"
        remedy = f"It is not a secret: pulumi config set {LOCATION_KEY} NAME"
        yield Problem(path=LOCATION_KEY, value="", what=what, remedy=remedy)


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
