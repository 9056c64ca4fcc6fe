"""An interpreter that has Pulumi's SDKs imported, for all runs of the engine of one worker of the tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from sandbox.providers import interpreter


@contextmanager
def warm(namespace: Sequence[str] = ()) -> Iterator[None]:
    """Runs of the program and of the stand-ins begin in it; it ends here, or with this process.

    `namespace`: the words before a command that run it where the engine runs, with which a program has to speak.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "interpreter"
        started = [sys.executable, "-Pu", str(interpreter.WARM_INTERPRETER), "serve", str(path)]
        command = [*namespace, "setpriv", "--pdeathsig", "KILL", *started]
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # a program brings its own
        with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            try:
                with mock.patch.dict(os.environ, {interpreter.WARM: str(path)}):
                    yield
            finally:
                process.terminate()
