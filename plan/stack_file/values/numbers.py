"""Numbers with bounds, and lists that must hold something."""

import re
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


def number_or_share(value: object) -> int | str:
    """A number of machines, or a share of them such as "25%"."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and re.fullmatch(r"(100|[1-9][0-9]?)%", value):
        return value
    raise Refusal(
        "neither a number of agents nor a share of them",
        allowed='1 or more, or a share such as "25%", which is rounded down to no less than 1',
        remedy="Write 1: one after the other.",
    )


def filled(items: Items) -> Items:
    """A list with at least one item."""
    if not items:
        raise Refusal("empty", allowed="at least one item")
    return items
