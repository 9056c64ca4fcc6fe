"""A timeline as text: one row for each thing, a bar for when it was."""

import re
import textwrap

from scripts.timeline import words
from scripts.timeline.rows import Row, rows
from scripts.timeline.update import Timeline

_NAME, _SECONDS, _LEAST_BAR = 26, 9, 20
_CRITICAL, _OTHER = "█", "░"
_NO_BREAK = "\N{NO-BREAK SPACE}"


def text(timeline: Timeline, width: int = 100) -> str:
    """The timeline in at most `width` columns, but in enough for a bar."""
    bar = max(width - _NAME - _SECONDS, _LEAST_BAR)
    lines, lane = [words.title(timeline), ""], None
    for row in rows(timeline):
        if row.lane != lane:
            lane = row.lane
            lines.append(f"{lane[:_NAME]:<{_NAME}}{_scale(timeline, bar)}" if len(lines) == 2 else lane)
        lines.append(f"  {row.label(_NAME - 3):<{_NAME - 2}}{_bar(timeline, row, bar)}{row.seconds:>7.1f} s")
    lines += ["", f"{_CRITICAL} what the end waited for   {_OTHER} beside it"]
    joined = re.sub(r"(?<=\d) s\b", f"{_NO_BREAK}s", words.path(timeline))  # no line ends between a number and its s
    lines += textwrap.wrap(joined, width, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines).replace(_NO_BREAK, " ")


def _scale(timeline: Timeline, bar: int) -> str:
    end = f"{timeline.seconds:.0f} s"
    return f"0 s{end:>{bar - 3}}"


def _bar(timeline: Timeline, row: Row, bar: int) -> str:
    cells = [" "] * bar
    for span in row.spans:
        begins = (span.begins - timeline.begun).total_seconds() / timeline.seconds * bar
        length = max(1, round(span.seconds / timeline.seconds * bar))
        first = min(max(0, int(begins)), bar - 1)
        for column in range(first, min(first + length, bar)):
            cells[column] = _CRITICAL if row.is_critical else _OTHER
    return "".join(cells)
