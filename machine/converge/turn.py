"""The turn of a run: taken by the first stage that needs it, and over when the run has brought the machine back."""

from collections.abc import Callable
from dataclasses import dataclass

from machine.converge.stages import Stage, stages
from machine.host import lock
from machine.host.console import say
from machine.host.errors import MachineError, NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import turn_heartbeat
from machine.kubernetes.turns import AgentTurn

STAYS_OUT = (
    "This machine stays cordoned, and others wait for it, until a run succeeds: `pulumi up`, or `sudo mig-k8s ready` on"
    " it. Where it is well all the same: `sudo mig-k8s end-turn` on it"
)


def tell_killed(machine: ThisMachine) -> None:
    """Tell others that a run was killed in its turn, since it cannot do so itself and they would wait for long."""
    try:
        turn = AgentTurn.begun(machine)
        if turn and not turn.is_out():
            turn.fail("the run of its stages was killed", is_out=True)
    except NodeError as error:
        say(f"others wait for this machine, and cannot be told that its run was killed: {error}")


@dataclass
class RunTurn:
    """Whether a run has the machine's turn, and what became of it."""

    machine: ThisMachine
    failures: int | None = None
    """How many turns had failed when the run began; None where that could not be told."""
    is_held: bool = False
    is_half_changed: bool = False
    """Whether a stage of this run, or an earlier run that was ended in its turn, has left the machine in between."""
    refusal: str = ""
    """Why it does not get its turn: no other stage of the run waits for it again."""

    def begin(self) -> None:
        """Note how many turns have failed: a failure after this stops the run before its turn. Does not wait."""
        turn_heartbeat.beat(self.machine)
        try:
            if turn := AgentTurn.of(self.machine, away_seconds=0):
                self.failures = turn.record.read().failures
        except MachineError:
            return  # it is asked again when a turn is needed

    def is_asked(self) -> bool:
        """Whether a stage ends with `turn` before something disruptive, also where another stage has the turn."""
        return AgentTurn.of(self.machine) is not None

    def take(self, stage: Stage, why: str, told: Callable[[str], object]) -> None:
        """Wait for the turn as long as somebody follows this run and the stage is still wanted. Raises NodeError."""

        def go_on() -> None:
            now = {each.name: each for each in stages(self.machine)}
            if stage.name not in now or now[stage.name].inputs() != stage.inputs():
                raise NodeError("the stack file says something else meanwhile, nothing was changed")
            with lock.held(self.machine.path(lock.FOLLOWERS), self.machine.clock, seconds=0) as nobody_follows:
                if nobody_follows:
                    raise NodeError("others have their turn, and nobody waits here any more: `pulumi up` goes on")

        turn = AgentTurn.of(self.machine)
        if turn is None or self.is_held:
            return
        if self.refusal:
            raise NodeError(self.refusal)
        try:
            was_entered = turn.take(why, told=told, go_on=go_on, failures=self.failures)
        except NodeError as error:
            self.refusal = str(error)
            raise
        self.is_held = True
        self.is_half_changed |= was_entered

    def end(self, failed: str) -> bool:
        """End the turn with the run, or keep it where something `failed` and the machine is out. Returns whether it is.

        This also ends the turn of an earlier run that was killed or that rebooted the machine. Raises NodeError when
        the node is not well.
        """
        turn = AgentTurn.begun(self.machine)
        if turn is None:
            return False
        if failed:
            return turn.fail(failed, is_out=self.is_half_changed or not self.is_held)
        turn.end()
        return False
