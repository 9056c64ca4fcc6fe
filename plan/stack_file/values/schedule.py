"""Auto-shutdown: a time of day in a Windows time zone, as Azure's schedules want both."""

import re
from functools import cache
from pathlib import Path

from plan.problems import Refusal, nearest_word

_DATA = Path(__file__).parent.parent / "data"

_IANA = {
    "europe/london": "GMT Standard Time",
    "europe/berlin": "W. Europe Standard Time",
    "europe/amsterdam": "W. Europe Standard Time",
    "europe/vienna": "W. Europe Standard Time",
    "europe/zurich": "W. Europe Standard Time",
    "europe/rome": "W. Europe Standard Time",
    "europe/stockholm": "W. Europe Standard Time",
    "europe/paris": "Romance Standard Time",
    "europe/madrid": "Romance Standard Time",
    "europe/brussels": "Romance Standard Time",
    "europe/warsaw": "Central European Standard Time",
    "europe/prague": "Central Europe Standard Time",
    "europe/helsinki": "FLE Standard Time",
    "europe/athens": "GTB Standard Time",
    "america/new_york": "Eastern Standard Time",
    "america/chicago": "Central Standard Time",
    "america/denver": "Mountain Standard Time",
    "america/los_angeles": "Pacific Standard Time",
    "america/sao_paulo": "E. South America Standard Time",
    "asia/kolkata": "India Standard Time",
    "asia/shanghai": "China Standard Time",
    "asia/singapore": "Singapore Standard Time",
    "asia/taipei": "Taipei Standard Time",
    "asia/tokyo": "Tokyo Standard Time",
    "asia/seoul": "Korea Standard Time",
    "australia/sydney": "AUS Eastern Standard Time",
}
"""The IANA zones people write most, and what Azure calls them."""


def time_of_day(text: str) -> str:
    """HHMM."""
    if not re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", text):
        digits = re.sub(r"\D", "", text).zfill(4)
        meant = f'Write "{digits}".' if re.fullmatch(r"([01]\d|2[0-3])[0-5]\d", digits) else ""
        raise Refusal("not a time of day", allowed='HHMM in quotes, such as "1900"', remedy=meant)
    return text


def time_zone(text: str) -> str:
    """A Windows time-zone id."""
    zones = _zones()
    if text in zones:
        return text
    meant = _IANA.get(text.lower()) or nearest_word(text, zones)
    raise Refusal(
        "an IANA name; Azure wants a Windows time-zone id" if "/" in text else "no Windows time-zone id",
        allowed="UTC, W. Europe Standard Time, Eastern Standard Time, …",
        remedy=f"Write {meant}." if meant else "",
    )


@cache
def _zones() -> tuple[str, ...]:
    return tuple((_DATA / "windows-time-zones.txt").read_text(encoding="utf-8").splitlines())
