"""A span of time in which one thing was done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Span:
    """`lane`: the machine on which it was done, or the stack. Times know their zone."""

    lane: str
    name: str
    begins: datetime
    ends: datetime

    @property
    def seconds(self) -> float:
        """The length of the span; never below 0, since the clocks of two machines differ."""
        return max(0.0, (self.ends - self.begins).total_seconds())


def covered(spans: Iterable[Span]) -> float:
    """The seconds that at least one of the spans covers: each second counts once."""
    seconds, end = 0.0, None
    for span in sorted(spans, key=lambda each: each.begins):
        begins = span.begins if end is None else max(span.begins, end)
        seconds += max(0.0, (span.ends - begins).total_seconds())
        end = span.ends if end is None else max(end, span.ends)
    return seconds
