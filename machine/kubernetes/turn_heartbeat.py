"""Signs of life while a turn lasts: whoever waits tells a machine at work from one that is off or was killed."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

from machine.documents.turns import Turns
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.turns import AgentTurn

BEAT_SECONDS = 60


@contextlib.contextmanager
def beating(machine: ThisMachine) -> Iterator[None]:
    """Show every minute that somebody is at work, while the block runs and the machine has a turn."""
    ended = threading.Event()

    def beat_on() -> None:
        while not ended.wait(BEAT_SECONDS):
            beat(machine)

    thread = threading.Thread(target=beat_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1)  # it may be asking an API server that is away, and ends with the process


def beat(machine: ThisMachine) -> None:
    """Show it once, if the machine has a turn and the API server answers."""
    # RKE2 may be just restarting. Those who wait give up only after many missed signs.
    with contextlib.suppress(MachineError):
        if turn := AgentTurn.begun(machine, away_seconds=0):
            name = turn.node.name

            def edit(found: Turns) -> Turns:
                mine = found.turns.get(name)
                return (
                    replace(found, turns={**found.turns, name: replace(mine, beats=mine.beats + 1)}) if mine else found
                )

            turn.record.change(edit)
