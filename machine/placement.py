"""Where instances go on a GPU. The plan asks it about an empty GPU, a machine about its own, with what is there.

A GPU has at most 8 memory slices, so every placement of a layout can be looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from machine.documents.layout import Place


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile as one GPU has it: at most `maximum` of it, each of `memory_slices` from a start."""

    name: str
    id: int
    compute_slices: int
    memory_slices: int
    starts: tuple[int, ...]
    maximum: int

    @property
    def has_media_extensions(self) -> bool:
        """Whether it takes the media engines, which a GPU gives to one instance only."""
        return self.name.endswith("+me")


Profiles = tuple[Profile, ...]
"""All of a GPU, largest first."""
_AnyProfile = TypeVar("_AnyProfile", bound=Profile)


def largest_first(profiles: Iterable[_AnyProfile]) -> tuple[_AnyProfile, ...]:
    """Profiles in the order in which their instances are placed and made."""
    return tuple(sorted(profiles, key=lambda p: (-p.compute_slices, -p.memory_slices, p.has_media_extensions)))


def choose(
    profiles: Profiles, wanted: Mapping[str, int], worth: Mapping[Place, int], preferred: Iterable[Place]
) -> tuple[Place, ...] | None:
    """Places for `wanted` (profile -> count), largest first; None when the GPU has no room for all of them.

    The best have the most of what is worth something, such as the instances that are there already; then leave the
    largest profile creatable; then have the most of `preferred`; then start furthest left.
    """
    every = _every(profiles, tuple(sorted(wanted.items())))
    worths = [sum(worth.get(place, 0) for place in places) for places, _ in every]
    most = max(worths, default=0)
    best = [found for found, its in zip(every, worths, strict=True) if its == most]
    own = set(preferred)
    # The first of equals starts furthest left.
    return max(best, key=lambda found: (found[1], len(own.intersection(found[0]))))[0] if best else None


@cache
def _every(
    profiles: Profiles, wanted: tuple[tuple[str, int], ...]
) -> tuple[tuple[tuple[Place, ...], tuple[int, ...]], ...]:
    """All placements, each with what it leaves creatable: the same for all that take the same memory slices."""
    left: dict[int, tuple[int, ...]] = {}
    found = []
    for places, taken in placements(profiles, dict(wanted)):
        if taken not in left:
            left[taken] = creatable(profiles, places)
        found.append((places, left[taken]))
    return tuple(found)


def placements(profiles: Profiles, wanted: Mapping[str, int]) -> Iterator[tuple[tuple[Place, ...], int]]:
    """Every way to place `wanted` without overlap, from the left, and the memory slices that it takes, as bits.

    Instances of one profile are interchangeable.
    """
    order = [profile for profile in profiles for _ in range(wanted.get(profile.name, 0))]

    def extend(done: tuple[Place, ...], taken: int) -> Iterator[tuple[tuple[Place, ...], int]]:
        if len(done) == len(order):
            yield done, taken
            return
        profile = order[len(done)]
        first = done[-1].start if done and done[-1].profile == profile.name else 0
        for start in profile.starts:
            slices = _slices(profile, start)
            if start >= first and not taken & slices:
                yield from extend((*done, Place(profile.name, start)), taken | slices)

    return extend((), 0)


def creatable(profiles: Profiles, places: Iterable[Place]) -> tuple[int, ...]:
    """How many of each profile, largest first, a GPU with these instances would still take (each counted by itself)."""
    named = {profile.name: profile for profile in profiles}
    here = [(named[place.profile], place.start) for place in places]
    taken = sum(_slices(profile, start) for profile, start in here)
    has_media = any(profile.has_media_extensions for profile, _ in here)
    # Compute slices and maxima never run out before memory slices do, media engines apart; and starts of one profile
    # are multiples of its size, so free ones do not get in each other's way.
    return tuple(
        0
        if has_media and profile.has_media_extensions
        else min(profile.maximum, sum(not taken & _slices(profile, start) for start in profile.starts))
        for profile in profiles
    )


def _slices(profile: Profile, start: int) -> int:
    """The memory slices that an instance takes, as bits."""
    return ((1 << profile.memory_slices) - 1) << start
