"""Azure locations, by the names the API uses (`az account list-locations`, public cloud)."""

from functools import cache
from pathlib import Path

from plan.problems import Refusal, nearest_word

_DATA = Path(__file__).parent.parent / "data"


def location(text: str) -> str:
    """An Azure location name."""
    known = _locations()
    if text in known:
        return text
    meant = "".join(character for character in text.lower() if character.isalnum())
    near = nearest_word(meant, known)
    raise Refusal(
        "a display name, not a location name" if meant in known else "no location of Azure's public cloud",
        allowed="a name of `az account list-locations --query [].name`",
        remedy=f"Write {near}." if near else "",
    )


def is_known_without_zones(location: str) -> bool:
    """Whether Azure's list of regions (of September 2025) has this location without availability zones.

    Those it has zones for, does not name, or is about to change (northcentralus, westcentralus) are left to Azure.
    """
    return "no-zones" in _locations()[location]


@cache
def _locations() -> dict[str, list[str]]:
    """What is known of each location, by its name."""
    lines = (_DATA / "azure-locations.txt").read_text(encoding="utf-8").splitlines()
    return {name: facts for name, *facts in map(str.split, lines)}
