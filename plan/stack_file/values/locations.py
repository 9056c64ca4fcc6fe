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


@cache
def _locations() -> tuple[str, ...]:
    return tuple((_DATA / "azure-locations.txt").read_text(encoding="utf-8").splitlines())
