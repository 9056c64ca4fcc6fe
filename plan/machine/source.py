"""The source of a module as a machine gets it: without what only people read, with the same line numbers.

It is a quarter of the user-data, which Azure limits. A traceback from a machine still points at the checkout's lines,
and an edited comment is no new release.
"""

import ast


def for_machines(text: str) -> str:
    """Docstrings and lines that are comments become empty; everything that Python sees stays in its line."""
    lines = [line.encode() for line in text.split("\n")]  # ast counts columns in bytes
    in_text: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno is not None:
            in_text.update(range(node.lineno, node.end_lineno))  # lines of it after its first
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            _empty(lines, node)
    return "\n".join(
        "" if line.lstrip().startswith(b"#") and number not in in_text else line.decode()
        for number, line in enumerate(lines)
    )


def _empty(lines: list[bytes], docstring: ast.Expr) -> None:
    """Put the empty text in the place of a docstring: a body may have nothing else."""
    first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    before, behind = lines[first][: docstring.col_offset], lines[last][docstring.end_col_offset :]
    lines[first : last + 1] = [before + b'""' + behind, *[b""] * (last - first)]
