"""The words beside a timeline's picture: the sum, the critical path, the ratio."""

from scripts.timeline.rows import SEEN_SECONDS
from scripts.timeline.update import Timeline


def title(timeline: Timeline) -> str:
    """One line: how long it took, and how much of that nobody could avoid."""
    took, least = timeline.seconds, timeline.unavoidable
    if not least:
        return f"up: {took:.0f} s; nothing in it was a boot, a reboot or a known download"
    known = "boot, reboot and downloads" if timeline.downloads else "boot and reboot; downloads are not known here"
    return f"up: {took:.0f} s, {took / least:.2f} × the {least:.0f} s that nobody can avoid ({known})"


def path(timeline: Timeline) -> str:
    """What the end waited for, with seconds; what is too short for a row is left out."""
    parts, lane = [], ""
    for span in timeline.path:
        if span.seconds >= SEEN_SECONDS:
            where = "" if span.lane == lane else f"{span.lane}: "
            lane = span.lane
            parts.append(f"{where}{span.name} {span.seconds:.1f} s")
    return "critical path: " + " → ".join(parts)
