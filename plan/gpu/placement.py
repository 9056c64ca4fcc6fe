"""Where instances go on a GPU: exact, deterministic, and with an eye on what comes next.

A GPU has at most 8 memory slots, so every placement of a layout can be looked at. Among those that fit, the best leaves
the largest profile creatable, then starts furthest left.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

from plan.gpu.catalogue import GpuModel, Profile
from plan.gpu.layout import Instance
from plan.problems import Refusal

Counts = tuple[tuple[str, int], ...]
"""A multiset of profiles as sorted (name, count) pairs without zeros: hashable, equal for equal multisets."""


def counts(wanted: Mapping[str, int]) -> Counts:
    """The canonical form of a multiset of profiles."""
    return tuple(sorted((name, count) for name, count in wanted.items() if count))


def best_placement(model: GpuModel, wanted: Mapping[str, int]) -> tuple[Instance, ...] | None:
    """Instances for `wanted` (profile name → count) on one GPU, largest first.

    None when they do not fit; `plan.gpu.nearest.refusal` says why.
    """
    return _best(model, counts(wanted))


def fits(model: GpuModel, wanted: Mapping[str, int]) -> bool:
    """Whether every instance of `wanted` can exist on one GPU at the same time."""
    return broken_limit(model, wanted) is None and next(_placements(model, counts(wanted)), None) is not None


def broken_limit(model: GpuModel, wanted: Mapping[str, int]) -> Refusal | None:
    """The first limit of the GPU that `wanted` breaks by its numbers alone; placement is not looked at."""
    profiles = []
    for name, count in wanted.items():
        profile = model.profile(name)
        if profile is None:
            return Refusal(f"{model.title} has no profile {name}")
        profiles.append((profile, count))
    compute = sum(profile.compute_slices * count for profile, count in profiles)
    memory = sum(profile.memory_slices * count for profile, count in profiles)
    media = sum(count for profile, count in profiles if profile.has_media_extensions)
    if media > 1:
        return Refusal(f"{media} instances want the media engines (+me); a GPU gives them to one instance only")
    if compute > model.compute_slices:
        return Refusal(f"needs {compute} compute slices; {model.title} has {model.compute_slices}")
    if memory > model.memory_slots:
        return Refusal(f"needs {memory} memory slices; {model.title} has {model.memory_slots}")
    for profile, count in profiles:
        if count > profile.maximum:
            return Refusal(f"{count} × {profile.name}; {model.title} holds at most {profile.maximum}")
    return None


@cache
def _best(model: GpuModel, wanted: Counts) -> tuple[Instance, ...] | None:
    if broken_limit(model, dict(wanted)) is not None:
        return None
    room = _room(model, wanted)

    def merit(instances: tuple[Instance, ...]) -> tuple[object, ...]:
        return _creatable(model, _mask(instances), room), tuple(-instance.start for instance in instances)

    return max(_placements(model, wanted), key=merit, default=None)


def creatable(model: GpuModel, instances: tuple[Instance, ...]) -> tuple[int, ...]:
    """How many of each profile, largest first, a GPU with these instances would still take (each counted alone)."""
    return _creatable(model, _mask(instances), _room(model, counts(Counter(i.profile for i in instances))))


def _creatable(model: GpuModel, taken: int, room: tuple[int, ...]) -> tuple[int, ...]:
    # Starts of one profile are multiples of its size, so free starts do not get in each other's way.
    return tuple(
        limit and min(limit, sum(not taken & slots for slots in _spans(profile)))
        for profile, limit in zip(model.profiles, room, strict=True)
    )


def _room(model: GpuModel, wanted: Counts) -> tuple[int, ...]:
    """How many more of each profile, largest first, the numbers alone allow beside `wanted`."""
    amount = dict(wanted)
    left = model.compute_slices - sum(p.compute_slices * amount.get(p.name, 0) for p in model.profiles)
    media_taken = any(p.has_media_extensions and p.name in amount for p in model.profiles)
    return tuple(
        0
        if profile.has_media_extensions and media_taken
        else min(left // profile.compute_slices, profile.maximum - amount.get(profile.name, 0))
        for profile in model.profiles
    )


def _placements(model: GpuModel, wanted: Counts) -> Iterator[tuple[Instance, ...]]:
    """Every way to place `wanted` without overlap; instances of one profile are interchangeable."""
    amount = dict(wanted)
    order = [profile for profile in model.profiles for _ in range(amount.get(profile.name, 0))]

    def extend(done: tuple[Instance, ...], taken: int) -> Iterator[tuple[Instance, ...]]:
        if len(done) == len(order):
            yield done
            return
        profile = order[len(done)]
        twin = bool(done) and done[-1].profile == profile.name
        for start, slots in zip(profile.starts, _spans(profile), strict=True):
            if not taken & slots and not (twin and start < done[-1].start):
                instance = Instance(profile=profile.name, start=start, size=profile.memory_slices)
                yield from extend((*done, instance), taken | slots)

    return extend((), 0)


@cache
def _spans(profile: Profile) -> tuple[int, ...]:
    """The memory slots of the profile at each of its starts, as bits."""
    return tuple(((1 << profile.memory_slices) - 1) << start for start in profile.starts)


def _mask(instances: tuple[Instance, ...]) -> int:
    mask = 0
    for instance in instances:
        mask |= ((1 << instance.size) - 1) << instance.start
    return mask
