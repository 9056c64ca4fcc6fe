"""The commands that the other tests type."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.sandbox

TESTS = Path(__file__).parent
TEST = """
import sys
from command_line import CommandLine
sys.executable = sys.argv[1]
command = CommandLine("killed").started("up")
command.stdout.readline()
print(command.pid, flush=True)
input()
"""


def test_a_command_ends_with_the_test_that_has_started_it_also_where_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "long"
    program.write_text("#!/bin/sh\necho runs\nexec sleep 60\n")
    program.chmod(0o755)
    modules = os.pathsep.join(map(str, (TESTS, TESTS.parent, TESTS.parents[1])))
    with subprocess.Popen(
        [sys.executable, "-c", TEST, str(program)],
        env={**os.environ, "PYTHONPATH": modules},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout is not None
        command = os.pidfd_open(int(test.stdout.readline()))
        assert select.select([command], [], [], 0)[0] == []
        test.kill()
    assert select.select([command], [], [], 10)[0] == [command], "the command lives 10 s after its test was killed"
    os.close(command)
