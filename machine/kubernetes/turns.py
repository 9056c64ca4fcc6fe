"""The turn of an agent: no more of them are out at once than the stack says. Before its first disruptive step an agent
enters itself in the cluster's record and is cordoned; when its node is well again it leaves.

It needs no other machine for that: whatever is killed on the way, the entry is there afterwards. Servers need no turn,
since `pulumi up` changes one after the other. Nor does an agent whose RKE2 does not run, such as before it joins:
nobody loses anything there.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from machine.documents.turns import Turn, Turns
from machine.host import files
from machine.host.console import say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import joining
from machine.kubernetes.kubectl import AWAY_SECONDS, Kubectl
from machine.kubernetes.node import Node
from machine.kubernetes.turn_record import TurnRecord
from machine.kubernetes.turn_waiting import Waiting

MARK = "/var/lib/mig-k8s/turn"
"""This file is there while this machine may have a turn: only then does it ask the API server."""
READY_SECONDS = 300
_LOOK_SECONDS = 2


@dataclass(frozen=True)
class AgentTurn:
    """The turn of an agent that runs."""

    node: Node
    record: TurnRecord

    @classmethod
    def of(cls, machine: ThisMachine, *, away_seconds: float = AWAY_SECONDS) -> "AgentTurn | None":
        """The turn of this machine; None where it needs none. `away_seconds`: how long the API server may be away."""
        if machine.node_name() is None or machine.desired_state().rke2.role != "agent":
            return None
        node = Node.running(machine, away_seconds=away_seconds)
        return None if node is None else cls(node, TurnRecord(node.kubectl))

    @classmethod
    def begun(cls, machine: ThisMachine, *, away_seconds: float = AWAY_SECONDS) -> "AgentTurn | None":
        """The turn that this machine may have begun, also if its RKE2 does not run any more; None where it has none."""
        if not machine.path(MARK).exists():
            return None
        turn = cls.of(machine, away_seconds=away_seconds)
        address = joining.server(machine)
        if turn is None and address and (kubectl := Kubectl.here(machine, away_seconds=away_seconds)):
            # The kubeconfig of an agent names RKE2 itself, which knows the servers.
            node = Node(replace(kubectl, address=address), machine.desired_state().node.name)
            return cls(node, TurnRecord(node.kubectl))
        return turn

    def take(
        self,
        why: str,
        *,
        told: Callable[[str], object] = say,
        go_on: Callable[[], None] = lambda: None,
        failures: int | None = None,
    ) -> bool:
        """Wait until few enough are out, then enter and be cordoned. An entry of before is taken up again; whether.

        `go_on` is called while it waits, and may raise. `failures`: how many turns had failed when this began. Raises
        NodeError when another one fails meanwhile, or does not end: nothing was changed then.
        """
        was_entered = self._entry() is not None
        waiting = Waiting(self.node, told, failures)
        while not self._enter(why, waiting):
            go_on()
            self.node.kubectl.machine.clock.sleep(_LOOK_SECONDS)
        try:
            self.node.kubectl.repeat("cordon", self.node.name)
        except NodeError:
            with contextlib.suppress(NodeError):  # this must not replace the reason
                self._leave()
            raise
        return was_entered

    def is_out(self) -> bool:
        """Whether it failed in a turn and was not brought back since. Raises NodeError."""
        mine = self._entry()
        return mine is not None and bool(mine.failed)

    def end(self) -> None:
        """The agent is as it shall be: when its node is well again pods may come, and others have their turn.

        Raises NodeError when that does not come about; it is out then, and stays entered.
        """
        if self._entry() is not None and not self._comes_back():
            self.fail(self._away, is_out=True)
            raise NodeError(self._away)
        self._leave()

    def fail(self, why: str, *, is_out: bool) -> bool:
        """Record that it failed, which stops others that wait. Returns whether it is out: entered and cordoned.

        `is_out`: it is, however well its node looks.
        """
        if self._entry() is None:
            self._unmark()
            return False
        if not is_out and not self._comes_back():
            is_out, why = True, f"{why}; {self._away}"

        def edit(found: Turns) -> Turns:
            turns = dict(found.turns)
            mine = turns.pop(self.node.name, None)
            if mine is None:
                return found
            if is_out:
                turns[self.node.name] = replace(mine, failed=why)
            failure = f"{self.node.name} failed in its turn: {why}"
            return replace(found, turns=turns, failures=found.failures + 1, last_failure=failure)

        if not is_out:
            self._uncordon()
        self.record.change(edit)
        if not is_out:
            self._unmark()
        return is_out

    def _entry(self) -> Turn | None:
        return self.record.read().turns.get(self.node.name)

    def _comes_back(self) -> bool:
        return self.node.kubectl.machine.clock.wait(self.node.is_well, READY_SECONDS)

    @property
    def _away(self) -> str:
        return f"the node {self.node.name} is not Ready after {READY_SECONDS} s"

    def _enter(self, why: str, waiting: Waiting) -> bool:
        name = self.node.name

        def edit(found: Turns) -> Turns:
            mine = found.turns.get(name)
            if mine is None and not waiting.is_next(found):
                return found
            files.write(self.node.kubectl.machine.path(MARK), "", 0o600)
            if mine is None:
                now = self.node.kubectl.machine.clock.utc()
                mine = Turn(why, now, cordoned=not self.node.is_cordoned())
            return replace(found, turns={**found.turns, name: replace(mine, why=why, failed="")})

        return name in self.record.change(edit).turns

    def _leave(self) -> None:
        self._uncordon()
        self.record.forget(self.node.name)
        self._unmark()

    def _uncordon(self) -> None:
        mine = self._entry()
        if mine is not None and mine.cordoned:
            self.node.kubectl.repeat("uncordon", self.node.name)

    def _unmark(self) -> None:
        self.node.kubectl.machine.path(MARK).unlink(missing_ok=True)
