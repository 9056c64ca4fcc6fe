"""Numbers with bounds, and lists that must hold something."""

from collections.abc import Callable
from typing import TypeVar

from plan.problems import Refusal

Items = TypeVar("Items", bound=tuple[object, ...])


def between(low: int, high: int, unit: str = "") -> Callable[[int], int]:
    """A check that a number lies from `low` to `high`, both allowed."""

    def check(number: int) -> int:
        if not low <= number <= high:
            nearest = low if number < low else high
            what = f"too {'small' if number < low else 'large'}"
            raise Refusal(what, allowed=f"{low} to {high} {unit}".rstrip(), remedy=f"Write {nearest}.")
        return number

    return check


def filled(items: Items) -> Items:
    """A list with at least one item."""
    if not items:
        raise Refusal("empty", allowed="at least one item")
    return items
