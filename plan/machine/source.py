"""The source of a program as a machine gets it: without what only people read, with the same line numbers.

That is a quarter of the user-data, which Azure limits. A traceback from a machine still points at the checkout's lines,
and an edited comment is no new release.
"""

import ast
import re

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
    """Docstrings and lines that are comments become empty; everything that Python sees stays in its line."""
    lines = [line.encode() for line in text.split("\n")]  # ast counts columns in bytes
    in_text: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno is not None:
            in_text.update(range(node.lineno, node.end_lineno))  # lines of it after its first
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                _empty(lines, statement, b"" if len(body) > 1 else b"...")
    return "\n".join(
        "" if line.lstrip().startswith(b"#") and number not in in_text else line.decode()
        for number, line in enumerate(lines)
    )


def _empty(lines: list[bytes], docstring: ast.Expr, instead: bytes) -> None:
    """Put something in the place of a docstring: a body may have nothing else."""
    first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    before, behind = lines[first][: docstring.col_offset], lines[last][docstring.end_col_offset :]
    lines[first : last + 1] = [(before + instead + behind).rstrip(), *[b""] * (last - first)]
