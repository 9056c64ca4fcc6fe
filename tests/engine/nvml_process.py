"""The driver's library in a process of its own, beside the fake GPU whose state it shows."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_gpu import FakeGpu

_CLIENT = Path(__file__).with_name("nvml_client.py")


class NvmlError(Exception):
    """A return code of NVML that is not success."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Client:
    """Calls functions of nvml_client.py there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401 - what JSON holds
        """What it says. Raises NvmlError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([function, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the client ended at {function}{arguments}"
        answer = json.loads(line)
        if "refused" in answer:
            raise NvmlError(answer["refused"])
        return answer["said"]

    def code(self, function: str, *arguments: object) -> int:
        """The code that a call ends with."""
        try:
            self.call(function, *arguments)
        except NvmlError as refused:
            return refused.code
        return 0


@contextmanager
def client_of(gpu: FakeGpu, library: Path, **environment: str) -> Iterator[Client]:
    """A client that loads the library as any other does, with nothing initialised yet."""
    process = subprocess.Popen(
        [sys.executable, _CLIENT],
        env={**gpu.environment, "LD_LIBRARY_PATH": str(library.parent), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield Client(process)
    finally:
        process.kill()
        process.communicate()
