"""Looking again and again until something is so: with a bound, a heartbeat, and an API server that may be away."""

from collections.abc import Callable
from dataclasses import dataclass

from machine.host.clock import Clock
from machine.kubernetes.kubectl import AwayError
from machine.verification.progress import Progress


@dataclass(frozen=True)
class Polling:
    """How a run waits for Kubernetes."""

    clock: Clock
    progress: Progress
    pause_seconds: float = 1.0

    def until(self, is_done: Callable[[], bool], deadline: float) -> bool:
        """Look, at least once, until `is_done`; False when it is not by the deadline, a time of the clock's.

        A look that meets an API server that is away is made again. Raises AwayError when the last one did.
        """
        while True:
            away = None
            try:
                if is_done():
                    return True
            except AwayError as error:
                away = error
                self.progress.tell(str(error))
            if self.clock.monotonic() >= deadline:
                if away is not None:
                    raise away
                return False
            self.clock.sleep(self.pause_seconds)
