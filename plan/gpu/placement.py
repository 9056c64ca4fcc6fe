"""What fits on a GPU of a model, and where it goes there; `machine.placement` decides."""

from collections.abc import Mapping

from machine.documents.layout import GpuLayout, Place
from machine.placement import choose, placements
from plan.gpu.catalogue import GpuModel
from plan.problems import Refusal

Counts = tuple[tuple[str, int], ...]
"""A multiset of profiles as sorted (name, count) pairs without zeros: hashable, equal for equal multisets."""


def counts(wanted: Mapping[str, int]) -> Counts:
    """The canonical form of a multiset of profiles."""
    return tuple(sorted((name, count) for name, count in wanted.items() if count))


def best_placement(model: GpuModel, wanted: Mapping[str, int]) -> tuple[Place, ...] | None:
    """Instances for `wanted` (profile name → count) on one GPU, largest first.

    None when they do not fit; `plan.gpu.nearest.refusal` says why.
    """
    return None if broken_limit(model, wanted) else choose(model.profiles, wanted, {}, ())


def fits(model: GpuModel, wanted: Mapping[str, int]) -> bool:
    """Whether every instance of `wanted` can exist on one GPU at the same time."""
    return broken_limit(model, wanted) is None and next(placements(model.profiles, wanted), None) is not None


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


def placement_after(model: GpuModel, there: GpuLayout, wanted: GpuLayout) -> tuple[Place, ...]:
    """Places for a layout on a GPU that has another one: as many of its instances stay as can.

    A machine decides in the same way, but first by which instances pods hold.
    """
    placed = choose(model.profiles, wanted.profiles, dict.fromkeys(there.instances, 1), wanted.instances)
    return wanted.instances if placed is None else placed
