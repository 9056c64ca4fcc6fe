"""The GPU program that answers many calls in one process: it says what a process of its own says."""

import re

import pytest
from gpus import Gpus

from machine.host.this_machine import ThisMachine

# Two calls may stand on either side of a second.
_CLOCK = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}")


@pytest.mark.parametrize(
    "command",
    [
        "nvidia-smi",
        "nvidia-smi -L",
        "nvidia-smi -q",
        "nvidia-smi -q -x",
        "nvidia-smi mig -lgip",
        "nvidia-smi mig -lgi",
        "nvidia-smi mig -dgi -gi 7",
        "nvidia-smi -i 9 -L",
        "nvidia-smi --nonsense",
        "load-driver 580 open more",
    ],
)
def test_a_call_ends_as_a_process_of_its_own_does(a100: Gpus, command: str) -> None:
    alone = ThisMachine.run(a100.machine, *command.split())
    answered = a100.machine.run(*command.split())
    assert (answered.status, _timeless(answered.stdout), answered.stderr) == (
        alone.status,
        _timeless(alone.stdout),
        alone.stderr,
    )
    assert alone.stdout or alone.stderr


def test_a_call_has_its_own_environment_and_none_of_the_one_before(a100: Gpus) -> None:
    a100.machine.environment["GPU_PRIVILEGED"] = "0"
    refused = a100.machine.run("nvidia-smi", "-mig", "0")
    assert (refused.status, "Insufficient Permissions" in refused.stdout) == (4, True)
    del a100.machine.environment["GPU_PRIVILEGED"], a100.machine.environment["GPU_HARDWARE"]
    assert a100.machine.run("nvidia-smi", "-L").stdout == "No devices were found\n"


def _timeless(text: str) -> str:
    return _CLOCK.sub("(now)", text)
