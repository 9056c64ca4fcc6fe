"""An interpreter that has Pulumi's SDKs imported, for all runs of the engine of one worker of the tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from sandbox.providers import interpreter, warm_interpreter


@contextmanager
def warm(namespace: Sequence[str] = ()) -> Iterator[None]:
    """Runs of the program begin in it; it ends here, or with this process.

    `namespace`: the words before a command that run it where the engine runs, with which a program has to speak.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "interpreter"
        started = [sys.executable, "-u", warm_interpreter.__file__, str(path)]
        command = [*namespace, "setpriv", "--pdeathsig", "KILL", *started]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            try:
                with mock.patch.dict(os.environ, {interpreter.WARM: str(path)}):
                    yield
            finally:
                process.terminate()
