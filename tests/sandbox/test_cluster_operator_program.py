"""The Go program of the GPU Operator's stand-in: its own tests and vet. No root, no machine."""

from pathlib import Path

import pytest

from sandbox.tools import go

MODULE = Path(__file__).parents[2] / "sandbox/tools/kubernetes"


@pytest.mark.timeout(600)  # the first time, Go compiles what it has not kept, and looks through all that is imported
@pytest.mark.parametrize("command", [("test", "./operator/gpu"), ("vet", "./operator/...")])
def test_the_go_tests_pass(command: tuple[str, str]) -> None:
    what, packages = command
    go.run(MODULE, what, *go.flags(MODULE), packages)  # it raises what Go says
