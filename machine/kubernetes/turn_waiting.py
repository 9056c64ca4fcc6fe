"""Waiting for a turn: whether one more agent may be out, which agents are waited for, and when waiting is useless."""

from collections.abc import Callable
from dataclasses import dataclass, field

from machine.documents.turns import Turn, Turns
from machine.host.errors import NodeError
from machine.kubernetes.node import Node

STALE_SECONDS = 7200
"""How long the same agents may be out while others wait: more than all stages and two reboots take."""
SILENT_SECONDS = 900
"""How long an agent of which nothing is heard is waited for: longer than a reboot takes."""
RETRY_SECONDS = 300
"""How long an agent that failed before has to begin again: the same `pulumi up` may come to it."""
_UNHEARD_SECONDS = 150
"""After this time, in which two signs of life were missed, people are told that nothing is heard of an agent."""
_TOLD_SECONDS = 30


@dataclass
class Waiting:
    """An agent that waits for its turn: whether the turn comes, or why it never will."""

    node: Node
    told: Callable[[str], object]
    failures: int | None
    since: float = 0.0
    """Since when the same agents are out."""
    heard: dict[str, tuple[Turn, float]] = field(default_factory=dict)
    """The agents that are out, and since when the entry of each is unchanged, by the clock of this machine alone."""
    last_told: float | None = None

    def is_next(self, found: Turns) -> bool:
        """Whether one more agent may be out. Raises NodeError where waiting is useless."""
        now, out = self.node.kubectl.machine.clock.monotonic(), found.turns
        if self.failures is None:
            self.failures = found.failures
        if found.failures > self.failures:
            raise NodeError(f"{self.node.name} was stopped before its turn, nothing was changed: {found.last_failure}")
        if len(out) < found.agents_at_once:
            return True
        if sorted(out) != sorted(self.heard):
            self.since, self.last_told = now, None
        before = self.heard
        self.heard = {
            name: before[name] if name in before and before[name][0] == turn else (turn, now)
            for name, turn in sorted(out.items())
        }
        silent = {name: now - since for name, (_, since) in self.heard.items()}
        lost = [name for name in silent if silent[name] > (RETRY_SECONDS if out[name].failed else SILENT_SECONDS)]
        words = "; ".join(_words(name, out[name], seconds) for name, seconds in silent.items())
        limit = f"no more than {found.agents_at_once} at once (rollout.agentsAtOnce)"
        if len(lost) == len(out) or now - self.since > STALE_SECONDS:
            name = (lost or list(silent))[0]
            raise NodeError(
                f"{self.node.name} did not get its turn within {now - self.since:.0f} s, and nothing was changed;"
                f" {limit}: {words}. Start {name} or repair it, then `pulumi up`; or take it out of the stack file."
                f" Where it is well, on a server: `sudo mig-k8s end-turn {name}`"
            )
        if self.last_told is None or now - self.last_told > _TOLD_SECONDS:
            self.last_told = now
            self.told(f"waits for its turn, {limit}: {words}")
        return False


def _words(name: str, turn: Turn, silent: float) -> str:
    words = [f"{turn.why}, since {turn.since}"]
    if turn.failed:
        words.append(f"failed: {turn.failed}")
    elif silent > _UNHEARD_SECONDS:
        words.append(f"nothing was heard of it for {silent:.0f} s")
    return f"{name} ({'; '.join(words)})"
