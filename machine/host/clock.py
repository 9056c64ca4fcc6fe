"""Time as an argument: tests give a clock of their own, so nothing waits for real seconds."""

import time
from collections.abc import Callable


class Clock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Do nothing for this long."""
        time.sleep(seconds)

    def utc(self) -> str:
        """Now, such as 2026-11-26T09:30:00Z."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def wait(self, condition: Callable[[], bool], seconds: float, *, pause: float = 1.0) -> bool:
        """Ask until `condition` holds; False after `seconds` without that. It is asked at least once."""
        deadline = self.monotonic() + seconds
        while not condition():
            if self.monotonic() > deadline:
                return False
            self.sleep(pause)
        return True
