"""The rows of a timeline's picture: what is long enough to be seen, and which of it the end waited for."""

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.timeline.span import Span
from scripts.timeline.update import Timeline

SEEN_SECONDS = 0.5
"""What took less is one row together."""


@dataclass(frozen=True)
class Row:
    """`spans` in one row of a lane. `is_critical`: the end of the update waited for it."""

    lane: str
    name: str
    spans: tuple[Span, ...]
    is_critical: bool

    def label(self, length: int) -> str:
        """The name of a row, in at most so many letters."""
        return self.name if len(self.name) <= length else f"{self.name[: length - 1]}…"

    @property
    def seconds(self) -> float:
        """The sum of the spans."""
        return sum(span.seconds for span in self.spans)


def rows(timeline: Timeline) -> Iterator[Row]:
    """The rows of each lane, in the order in which they began."""
    critical = {(span.lane, span.name) for span in timeline.path}
    for lane, spans in timeline.lanes.items():
        for span in spans:
            if span.seconds >= SEEN_SECONDS:
                yield Row(lane, span.name, (span,), (lane, span.name) in critical)
        short = tuple(span for span in spans if span.seconds < SEEN_SECONDS)
        if short:
            yield Row(lane, f"{len(short)} shorter than {SEEN_SECONDS} s", short, is_critical=False)
