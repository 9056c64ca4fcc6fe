"""Which files of tests begin before the others."""

from collections.abc import Sequence

import pytest


def bring_forward(items: list[pytest.Item], files: Sequence[str]) -> None:
    """Have the tests of these files first, in this order; all else keeps its own.

    For files that take long: begun last, one of them would keep one worker waiting for the other.
    """
    place = {name: number for number, name in enumerate(files)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))
