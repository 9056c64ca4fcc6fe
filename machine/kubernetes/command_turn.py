"""The turn of one command that disturbs pods, such as a change of instances: it begins and ends with it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from machine.host.console import say
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.turn_heartbeat import beating
from machine.kubernetes.turns import AgentTurn


@dataclass
class Attempt:
    """What becomes of a turn; an empty `failed` is a success."""

    failed: str = ""


@contextlib.contextmanager
def during(machine: ThisMachine, why: str) -> Iterator[Attempt]:
    """What is done in here is done in this machine's turn, where it needs one; others are told where it fails.

    It fails without leaving the machine out: a GPU that cannot be changed is given back what it had.
    """
    attempt, turn = Attempt(), AgentTurn.of(machine)
    if turn is None or turn.is_out():  # of the latter, the run that brings the machine back ends the turn
        yield attempt
        return
    turn.take(why)
    with beating(machine):
        try:
            yield attempt
        except BaseException as error:
            attempt.failed = str(error) or type(error).__name__
            raise
        finally:
            _end(turn, attempt.failed)


def _end(turn: AgentTurn, failed: str) -> None:
    try:
        if not failed:
            turn.end()
        elif turn.fail(failed, is_out=False):
            say(f"{turn.node.name} is not Ready: it stays cordoned, and others wait for it, until `pulumi up` succeeds")
    except MachineError as error:
        if not failed:
            raise
        say(f"{turn.node.name} keeps its turn: {error}")
