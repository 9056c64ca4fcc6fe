"""Layouts next to one that does not fit: what the author of a stack probably meant."""

from collections.abc import Mapping
from functools import cache

from plan.gpu.catalogue import GpuModel, gpu_models
from plan.gpu.placement import Counts, broken_limit, counts, fits
from plan.problems import NO_BREAK, Refusal


def refusal(model: GpuModel, wanted: Mapping[str, int]) -> Refusal:
    """Why `wanted` does not fit on one GPU, and the nearest layouts that do."""
    near = [written(layout).replace(" ", NO_BREAK) for layout in nearest(model, wanted)]
    remedies = [_same_name_elsewhere(model, wanted)]
    if near:
        remedies.append(f"Nearest layouts that fit: {' or '.join(near)}.")
    remedy = " ".join(filter(None, remedies))
    broken = broken_limit(model, wanted)
    if broken is not None:
        return Refusal(broken.what, remedy=remedy)
    starts = "; ".join(
        f"{profile.name} at {', '.join(map(str, profile.starts))}"
        for profile in model.profiles
        if wanted.get(profile.name)
    )
    return Refusal(
        f"the slices add up, but {model.title} has no placement for all instances at once",
        allowed=f"instances start at certain memory slots only: {starts}",
        remedy=remedy,
    )


def _same_name_elsewhere(model: GpuModel, wanted: Mapping[str, int]) -> str:
    """Why 1g.10gb does not fit: the name means another profile on another GPU."""
    for other in gpu_models().values():
        if any(other.profile(name) is None for name in wanted) or not fits(other, wanted):
            continue
        for name in wanted:
            here, there = model.profile(name), other.profile(name)
            if here and there and here.memory_slices != there.memory_slices:
                meant = next(p.name for p in model.profiles if p.id == there.id)
                return f"{name} is another profile on {other.title}; what is {name} there is {meant} here."
    return ""


def nearest(model: GpuModel, wanted: Mapping[str, int], limit: int = 3) -> tuple[dict[str, int], ...]:
    """Up to `limit` layouts that fit, profiles largest first.

    The distance is the number of instances changed plus the compute slices given up. Media extensions are offered only
    where `wanted` has them.
    """
    amount = {profile.name: wanted.get(profile.name, 0) for profile in model.profiles}
    if not any(amount.values()):
        return ()
    slices = {profile.name: profile.compute_slices for profile in model.profiles}
    unasked = {p.name for p in model.profiles if p.has_media_extensions and not amount[p.name]}
    asked = min(model.compute_slices, sum(slices[name] * count for name, count in amount.items()))

    def distance(layout: Counts) -> tuple[int, int, Counts]:
        have = dict(layout)
        changed = sum(abs(count - have.get(name, 0)) for name, count in amount.items())
        given_up = abs(asked - sum(slices[name] * count for name, count in layout))
        return changed + given_up, changed, layout

    candidates = (layout for layout in layouts(model) if layout and not unasked & dict(layout).keys())
    best = sorted(candidates, key=distance)[:limit]
    return tuple({name: dict(layout)[name] for name in amount if name in dict(layout)} for layout in best)


@cache
def layouts(model: GpuModel) -> frozenset[Counts]:
    """Every layout that fits on one GPU of this model, the empty one included."""
    found: set[Counts] = {()}
    frontier: list[Counts] = [()]
    while frontier:
        smaller = dict(frontier.pop())
        for profile in model.profiles:
            larger = counts({**smaller, profile.name: smaller.get(profile.name, 0) + 1})
            if larger not in found and fits(model, dict(larger)):
                found.add(larger)
                frontier.append(larger)
    return frozenset(found)


def written(wanted: Mapping[str, int]) -> str:
    """A layout as it is written in a stack file."""
    return "{" + ", ".join(f"{name}: {count}" for name, count in wanted.items() if count) + "}"
