"""Values that may be secret, as those of environment variables: marked as hidden, and what becomes of the marks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plan.problems import names_a_secret

NOT_SHOWN = "(not shown)"


@dataclass(frozen=True, repr=False)
class Hidden:
    """A value that no report shows. Two of them are equal where their values are, so that a change is still seen."""

    value: object

    def __repr__(self) -> str:
        return NOT_SHOWN


def marked(value: Any, key: str = "") -> Any:  # noqa: ANN401 - whatever a Helm chart takes
    """The value of `key` with `Hidden` in the place of all that may be secret in it.

    That is every value of an environment variable, and every value whose name says so.
    """
    if value is None or isinstance(value, bool | Hidden):
        return value
    if _is_secret(key):
        return Hidden(value)
    is_environment = key.lower().endswith(("env", "envvars"))
    if isinstance(value, list | tuple):
        return [marked(item, key) for item in value]
    if not isinstance(value, Mapping):
        return Hidden(value) if is_environment else value
    name = value.get("name")
    if isinstance(name, str):  # {name: NAME, value: …}, or a reference in the place of the value
        hides = is_environment or _is_secret(name)
        return {each: Hidden(v) if hides and each == "value" else marked(v, each) for each, v in value.items()}
    return {each: Hidden(v) if is_environment else marked(v, str(each)) for each, v in value.items()}


def unmarked(value: Any, hidden: Callable[[Any], Any] = lambda value: value) -> Any:  # noqa: ANN401 - as above
    """The value with each `Hidden` replaced by what `hidden` makes of its content: by default the content itself."""
    if isinstance(value, Hidden):
        return hidden(value.value)
    if isinstance(value, Mapping):
        return {key: unmarked(below, hidden) for key, below in value.items()}
    return [unmarked(item, hidden) for item in value] if isinstance(value, list) else value


def _is_secret(key: str) -> bool:
    plain = key.lower()
    return names_a_secret(key) or (plain.endswith("key") and plain not in ("key", "topologykey"))  # of a toleration
