"""The source of a program as a machine gets it: only what runs there, with the same line numbers.

That is a quarter of the user-data, which Azure limits. A traceback from a machine still points at the checkout's lines,
and an edited comment does not make a new release.
"""

import ast
import re
import sys
from collections.abc import Iterator

_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?'?([A-Z]+)'?")


def for_machines(path: str, text: str) -> str:
    """A file of a release: Python, a shell script (whose name may end in .sh or not at all), or what stays as it is."""
    if path.endswith(".py"):
        return _python(text)
    return _shell(text) if text.startswith("#!") or path.endswith(".sh") else text


def _shell(text: str) -> str:
    """Lines that are comments become empty, but the first, and those of a here-document."""
    lines, end = text.split("\n"), None
    for number, line in enumerate(lines):
        if end is not None:
            end = None if line == end else end
        elif found := _HERE_DOCUMENT.search(line):
            end = found[1]
        elif number > 0 and line.lstrip().startswith("#"):
            lines[number] = ""
    return "\n".join(lines)


def _python(text: str) -> str:
    """Docstrings, comments and the annotations of functions go; everything that runs stays in its line.

    The fields of a class keep their types: dataclasses and documents read those.
    """
    lines = [line.encode() for line in text.split("\n")]  # ast counts columns in bytes
    texts: dict[int, list[tuple[int, int]]] = {}
    docstrings: list[tuple[ast.Expr, bytes]] = []
    annotations: list[tuple[int, int, int]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            for number, span in _spans(node):
                texts.setdefault(number, []).append(span)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            found = [each for each in body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)]
            docstrings.extend((each, b"" if len(body) > 1 else b"...") for each in found)
        annotations.extend(_annotation(node, lines))
    for number, line in enumerate(lines, 1):
        for sign in re.finditer(b"#", line):
            if not any(start <= sign.start() < end for start, end in texts.get(number, ())):
                lines[number - 1] = line[: sign.start()].rstrip()
                break
    for statement, instead in docstrings:
        _empty(lines, statement, instead)
    for number, start, end in sorted(annotations, reverse=True):  # from the right: columns on the left stay true
        lines[number - 1] = lines[number - 1][:start] + lines[number - 1][end:]
    inside = {number for number, spans in texts.items() if any(start == 0 for start, _ in spans)}
    return b"\n".join(line if number in inside else _narrow(line) for number, line in enumerate(lines, 1)).decode()


def _narrow(line: bytes) -> bytes:
    """Indent by one space for each level: the other spaces of a release would be a fiftieth of the user-data."""
    text = line.lstrip(b" ")
    return b" " * ((len(line) - len(text)) // 4) + text


def _annotation(node: ast.AST, lines: list[bytes]) -> Iterator[tuple[int, int, int]]:
    """Line and columns of a parameter's type, or of what a function returns. One of several lines stays."""
    if isinstance(node, ast.arg):
        found, start = node.annotation, node.col_offset + len(node.arg.encode())
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
        found, start = node.returns, lines[node.returns.lineno - 1].rfind(b" ->", 0, node.returns.col_offset)
    else:
        return
    if found and found.end_col_offset and node.lineno <= found.lineno == found.end_lineno and start >= 0:
        yield found.lineno, start, found.end_col_offset


def _spans(node: ast.expr) -> Iterator[tuple[int, tuple[int, int]]]:
    """The columns that a text takes in each of its lines."""
    last = node.end_lineno or node.lineno
    for number in range(node.lineno, last + 1):
        start = node.col_offset if number == node.lineno else 0
        end = node.end_col_offset if number == last and node.end_col_offset is not None else sys.maxsize
        yield number, (start, end)


def _empty(lines: list[bytes], docstring: ast.Expr, instead: bytes) -> None:
    """Put something in the place of a docstring: a body may have nothing else."""
    first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    before, behind = lines[first][: docstring.col_offset], lines[last][docstring.end_col_offset :]
    lines[first : last + 1] = [(before + instead + behind).rstrip(), *[b""] * (last - first)]
