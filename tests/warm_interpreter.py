"""An interpreter that has Pulumi's SDKs imported, for all runs of the engine of one worker of the tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.providers import interpreter, warm_interpreter


@contextmanager
def warm() -> Iterator[None]:
    """Runs of the program begin in it; it ends here, or with this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "interpreter"
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-u", warm_interpreter.__file__, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            os.environ[interpreter.WARM] = str(path)
            try:
                yield
            finally:
                del os.environ[interpreter.WARM]
                process.terminate()
