"""A program of a machine, run in the process of the tests: the same text and the same machine, no new interpreter."""

import contextlib
import functools
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def call(
    path: Path, arguments: Sequence[str], stdin: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What `path` with these arguments ends with. What it does not catch itself is raised here."""
    out, errors = io.StringIO(), io.StringIO()
    command = [str(path), *arguments]
    with (
        _surroundings(command, stdin, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            code = loaded(path).main()
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())


def loaded(path: Path) -> ModuleType:
    """The program as a module of the machine whose root is in the environment now; nothing of it has run."""
    module = ModuleType(path.name.replace("-", "_"))
    module.__file__ = str(path)
    exec(_compiled(path.name, path.read_text(encoding="utf-8")), module.__dict__)  # noqa: S102 - our own program
    return module


@functools.cache
def _compiled(name: str, text: str) -> CodeType:
    return compile(text, name, "exec", dont_inherit=True)


@contextlib.contextmanager
def _surroundings(command: list[str], stdin: str, environment: Mapping[str, str]) -> Iterator[None]:
    """A process's own arguments, input, variables and signal handlers."""
    before = sys.argv, sys.stdin, dict(os.environ), {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        sys.argv, sys.stdin = command, io.StringIO(stdin)
        _set_variables(environment)
        yield
    finally:
        sys.argv, sys.stdin, variables, handlers = before
        _set_variables(variables)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _set_variables(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
