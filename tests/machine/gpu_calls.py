"""The sandbox's GPU program as one process for all tests: what is called thousands of times is not started so often."""

import atexit
import functools
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from machine.host.program import Ended


class ResidentProgram:
    """Answers calls of the program's names, each with the environment it is made with: see sandbox/gpu/calls.go.

    tests/scripts start the same program as processes of their own, as a machine does.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        atexit.register(self.end)

    def answer(self, command: tuple[str, ...], environment: Mapping[str, str]) -> Ended:
        """What the command ends with. The tests' own bound is its bound: what may hang is called in another way."""
        name, *arguments = command
        call = {"program": Path(name).name, "arguments": arguments, "environment": dict(environment)}
        try:
            line = self._exchange(json.dumps(call) + "\n")
        except BaseException:  # whoever calls next must not get this answer
            self.end()
            raise
        said = json.loads(line)
        return Ended(command, said["status"], said["stdout"], said["stderr"])

    def _exchange(self, line: str) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [self._program, "calls"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env={}
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{self._program} ended at {line}"
        return answer

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@functools.cache
def resident(program: Path) -> ResidentProgram:
    """The one process of this program."""
    return ResidentProgram(program)
