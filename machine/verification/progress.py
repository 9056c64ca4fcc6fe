"""What a verification tells while it runs: short lines, each when it is new, and again with every heartbeat."""

from machine.host.clock import Clock
from machine.host.console import one_line, say
from machine.host.signals import Interrupted

HEARTBEAT_SECONDS = 15
"""How often something is said: only who writes notices that the SSH session it was started in is gone."""
_LINE = 200


class Progress:
    """The lines of one run, each with the seconds since its beginning."""

    def __init__(self, clock: Clock, *, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._clock, self._heartbeat = clock, heartbeat_seconds
        self._begun = clock.monotonic()
        self._last, self._last_at = "", self._begun
        self._noted: set[str] = set()

    @property
    def seconds(self) -> float:
        """For how many seconds the run has been going."""
        return self._clock.monotonic() - self._begun

    def tell(self, words: str) -> None:
        """Say what is waited for when that changes, and with every heartbeat. Raises Interrupted as `line` does."""
        now = self._clock.monotonic()
        if words != self._last or now - self._last_at >= self._heartbeat:
            line(f"{self.seconds:.0f} s: {words}")
            self._last, self._last_at = words, now

    def note(self, words: str) -> None:
        """Say what is seen again with every look, the first time only."""
        if words not in self._noted:
            self._noted.add(words)
            line(words)


def line(words: str) -> None:
    """One line, however much Kubernetes or a pod has to say. Raises Interrupted when nobody listens any more."""
    if not say(f"·  {one_line(words)[:_LINE]}"):
        raise Interrupted("the end of its session")
