"""Waiting for a turn: whether there is room, for whom one waits, and when that is no use."""

from collections.abc import Callable
from dataclasses import dataclass

from machine.documents.turns import Turn, Turns
from machine.host.errors import NodeError
from machine.kubernetes.node import Node

STALE_SECONDS = 7200
"""How long the same agents may be out while others wait: more than all stages and two reboots take."""
RETRY_SECONDS = 300
"""How long one that failed before is given to begin again: the same `pulumi up` may come to it."""
_TOLD_SECONDS = 30


@dataclass
class Waiting:
    """One that waits for its turn: whether it comes, or why it never will."""

    node: Node
    told: Callable[[str], object]
    failures: int | None
    since: float = 0.0
    """Since when the same ones are out."""
    out: tuple[tuple[str, Turn], ...] = ()
    last_told: float | None = None

    def is_next(self, found: Turns) -> bool:
        """Whether there is room. Raises NodeError where it is no use to wait."""
        now, out = self.node.kubectl.machine.clock.monotonic(), tuple(sorted(found.turns.items()))
        if self.failures is None:
            self.failures = found.failures
        if found.failures > self.failures:
            raise NodeError(f"{self.node.name} was stopped before its turn, nothing was changed: {found.last_failure}")
        if len(out) < found.agents_at_once:
            return True
        if [name for name, _ in out] != [name for name, _ in self.out]:
            self.since, self.last_told = now, None
        self.out = out
        words = "; ".join(_words(name, turn) for name, turn in out)
        failed = [name for name, turn in out if turn.failed]
        limit = f"no more than {found.agents_at_once} at once (rollout.agentsAtOnce)"
        if now - self.since > (RETRY_SECONDS if len(failed) == len(out) else STALE_SECONDS):
            raise NodeError(
                f"{self.node.name} did not get its turn within {now - self.since:.0f} s, {limit}: {words}. Bring it"
                " back with its own stack file, or remove the machine; where it is well, on a server:"
                f" `sudo mig-k8s end-turn {(failed or [out[0][0]])[0]}`"
            )
        if self.last_told is None or now - self.last_told > _TOLD_SECONDS:
            self.last_told = now
            self.told(f"waits for its turn, {limit}: {words}")
        return False


def _words(name: str, turn: Turn) -> str:
    return f"{name} ({turn.why}, since {turn.since}{f'; failed: {turn.failed}' if turn.failed else ''})"
