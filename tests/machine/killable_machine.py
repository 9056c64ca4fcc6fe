"""A machine on which a command is killed, interrupted or cut off from power at a certain run of a program."""

import os
import re
import signal
from dataclasses import dataclass, field
from typing import Any

from a_machine import AMachine

from machine.host.program import Ended
from machine.host.signals import Interrupted


class PowerCut(BaseException):
    """Nothing more is run on this machine. In process it stands for SIGKILL: no clean-up can run anything."""


@dataclass(frozen=True)
class KillableMachine(AMachine):
    """`fate`: {"matching": REGEX of the command, "at": which run of such, "when": "before"|"after", "what": …}.

    `what` is a signal's name, which this process then gets, or "power cut" or "interrupted": those raise, once and for
    all, or once; signals that are ignored do not interrupt.
    """

    fate: dict[str, Any] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def doom(self, what: str, *, at: int, matching: str = "", when: str = "before") -> None:
        self.seen.clear()
        self.fate.update(what=what, at=at, matching=matching, when=when)

    def revive(self) -> None:
        self.fate.clear()

    def run(self, *command: str, seconds: float = 120, stdin: str = "") -> Ended:
        words = " ".join(command)
        if not self.fate or not re.search(self.fate["matching"], words):
            return super().run(*command, seconds=seconds, stdin=stdin)
        self.seen.append(words)
        is_now = len(self.seen) == self.fate["at"]
        if self.fate["what"] == "power cut" and len(self.seen) > self.fate["at"]:
            raise PowerCut
        if is_now and self.fate["when"] == "before":
            self._strike()
        ended = super().run(*command, seconds=seconds, stdin=stdin)
        if is_now and self.fate["when"] == "after":
            self._strike()
        return ended

    def _strike(self) -> None:
        if self.fate["what"] == "power cut":
            raise PowerCut
        if self.fate["what"] == "interrupted":
            if signal.getsignal(signal.SIGTERM) != signal.SIG_IGN:
                raise Interrupted("SIGTERM")
            return
        os.kill(os.getpid(), signal.Signals[self.fate["what"]])
