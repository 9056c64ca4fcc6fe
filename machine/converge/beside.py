"""Stages that run beside the others, each in a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Beside:
    """What was started and has not been waited for, by the name of its stage."""

    running: dict[str, threading.Thread] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)

    def start(self, name: str, run: Callable[[], None]) -> None:
        """Start a stage that runs beside those that come next."""

        def kept() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001 - raised by whoever waits for it by its name
                self.errors.append(error)

        # A daemon: a run that ends by a signal does not wait for it, and systemd ends the script that it has started.
        self.running[name] = threading.Thread(target=kept, name=name, daemon=True)
        self.running[name].start()

    def names(self) -> list[str]:
        """The names of the stages that have not ended."""
        return [name for name, thread in self.running.items() if thread.is_alive()]

    def wait(self) -> None:
        """Wait until all have ended, each by its own limit. What they raised is raised by `end`."""
        for thread in self.running.values():
            thread.join()

    def end(self, name: str | None) -> None:
        """Wait for the end of a stage, where it was started. Raises what it raised."""
        if name in self.running:
            self.running.pop(name).join()
            if self.errors:
                raise self.errors.pop()
