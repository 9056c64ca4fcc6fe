"""YAML without surprises: what is broken, or what readers would take for different things, is refused with its line."""

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from plan.problems import Problem, Problems

DEEPEST = 64
"""Levels of nesting, aliases followed; the deepest Helm values in use have about twelve."""
_MOST = 100_000
"""Values in a document, aliases written out: a few aliases of aliases can stand for billions."""
_TAG = "tag:yaml.org,2002:"
_KINDS: dict[type[yaml.Node], set[str]] = {yaml.MappingNode: {"map"}, yaml.SequenceNode: {"seq"}}
_SCALARS = {"str", "int", "float", "bool", "null", "timestamp"}
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # four times as fast, where it was built

_REMEDIES = (
    ("another document", "A stack file is one document: take away what follows the line ---."),
    ("undefined alias", "Put text that begins with * into quotes, or write &name before it is used as *name."),
    ("duplicate anchor", "Give every &anchor a name of its own."),
    ("quoted scalar", "Close the quotation mark."),
    ("incompatible YAML document", "Take the %YAML line away."),
    ("for merging", "Only a mapping, or a list of them, can follow <<."),
    ("", "Indent with spaces, and put text with : or # into quotes."),
)


def load(text: str, *, name: str) -> object:
    """The one document in `text`, None if it is empty; `name` is what problems call it. Raises Problems."""
    loader = None
    try:
        for event, depth in _depths(text):
            if depth > DEEPEST:
                raise Problems([_too_deep(f"{name}, line {event.start_mark.line + 1}")])
        loader = _Base(text)
        root = loader.get_single_node()
        if root is None:
            return None
        problems = [*_extents(root, name), *(problem for node in _nodes(root) for problem in _surprises(node, name))]
        if not problems:
            document: object = loader.construct_document(root)
            return document
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        what = " ".join(filter(None, [error.context, error.problem]))
        problems = [_broken(name + line, what)]
    except yaml.reader.ReaderError as error:
        problems = [_broken(name, f"a character that no YAML file may hold ({error.reason})")]
    finally:
        if loader is not None:
            loader.dispose()
    raise Problems(problems)


def _broken(path: str, what: str) -> Problem:
    remedy = next(remedy for fragment, remedy in _REMEDIES if fragment in what)
    return Problem(path=path, value="", what=f"broken YAML: {what}", remedy=remedy)


def _too_deep(path: str) -> Problem:
    return Problem(path=path, value="", what="nested too deeply for a stack file", allowed=f"at most {DEEPEST} levels")


def _depths(text: str) -> Iterator[tuple[Any, int]]:
    """Every event of the text with the levels around it. Reading nodes is recursive, and would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        yield event, depth


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once, in the order of the text."""
    seen: set[int] = set()
    ahead = [root]
    while ahead:
        node = ahead.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            ahead += reversed(_below(node))


def _below(node: yaml.Node) -> list[yaml.Node]:
    """What is in it, without the keys: those are looked at with their mapping."""
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _extents(root: yaml.Node, name: str) -> Iterator[Problem]:
    values, depth = _extent(root, {})
    if math.isinf(values):
        yield Problem(path=name, value="", what="an alias stands inside the very value it repeats, which has no end")
    elif values > _MOST:
        what = f"{values:,} values once its aliases are written out"
        yield Problem(path=name, value="", what=what, allowed=f"at most {_MOST:,}", remedy="Use fewer aliases.")
    elif depth > DEEPEST:
        yield _too_deep(name)


def _extent(node: yaml.Node, known: dict[int, tuple[float, float]]) -> tuple[float, float]:
    """How many values, and levels of them, the node stands for. Recursive over the levels of the text only."""
    if id(node) not in known:
        known[id(node)] = math.inf, math.inf  # for whoever is inside it
        below = [_extent(part, known) for part in _below(node)]
        known[id(node)] = 1 + sum(values for values, _ in below), 1 + max((levels for _, levels in below), default=0)
    return known[id(node)]


def _surprises(node: yaml.Node, name: str) -> Iterator[Problem]:
    def surprise(where: yaml.Node, what: str, remedy: str) -> Problem:
        value = where.value if isinstance(where, yaml.ScalarNode) else ""
        shown = value if len(value) <= 60 else value[:59] + "…"
        return Problem(path=f"{name}, line {where.start_mark.line + 1}", value=shown, what=what, remedy=remedy)

    kind = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in {_TAG + "str", _TAG + "merge"} or not isinstance(key, yaml.ScalarNode):
                yield surprise(key, "a key that YAML does not read as text", "Put it in quotes.")
            elif key.value in seen:
                what = "this key is in its mapping twice; readers disagree which one counts"
                yield surprise(key, what, "Keep one of them.")
            else:
                seen.add(key.value)
    if kind not in _KINDS.get(type(node), _SCALARS):
        what = f"YAML gives this the type {kind}, which no stack file needs"
        yield surprise(node, what, "Leave the type out, and put text into quotes.")
    elif isinstance(node, yaml.ScalarNode):
        yield from (surprise(node, what, remedy) for what, remedy in _ambiguities(kind, str(node.value)))


_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,2})?")


def _ambiguities(kind: str, text: str) -> Iterator[tuple[str, str]]:
    if kind == "bool" and text not in {"true", "false"}:
        what = "YAML readers disagree whether this is text or true/false"
        yield what, f'Write true or false, or "{text}" in quotes if it is text.'
    elif kind in {"int", "float"} and not _NUMBER.fullmatch(text):
        yield "YAML readers disagree which number this is", f'Put it in quotes: "{text[:40]}"'
    elif kind == "timestamp":
        yield "YAML reads this as a date", f'Put it in quotes: "{text}"'
    elif kind == "null" and text not in {"", "~", "null", "Null", "NULL"}:
        yield "YAML reads this as nothing", f'Put it in quotes: "{text}"'
