"""The GPU instance profiles of a GPU, and whether a layout fits them."""

import re
from collections import Counter
from collections.abc import Iterable

from machine.documents.layout import Place
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.errors import GpuError
from machine.placement import Profile, largest_first


def read_profiles(smi: NvidiaSmi, index: int) -> dict[str, Profile]:
    """The profiles of a GPU by name, largest first. Works with MIG mode off. Raises GpuError."""
    placements = smi.placements(index)
    profiles = []
    for _, _, name, number, counts, *_ in smi.table(index, "-lgip"):
        starts, size = placements.get(int(number), ((), 0))
        if compute := re.match(r"(\d+)g\.", name):  # no table of nvidia-smi has the compute slices
            profiles.append(Profile(name, int(number), int(compute[1]), size, starts, int(counts.split("/")[1])))
    if not profiles:
        raise GpuError(f"GPU {index} lists no profiles")
    return {profile.name: profile for profile in largest_first(profiles)}


def check_places(index: int, places: Iterable[Place], profiles: dict[str, Profile]) -> None:
    """Check that the layout fits this GPU. Raises GpuError with everything that does not."""
    wanted = list(places)
    wrong, taken = [], Counter[int]()
    for place in wanted:
        profile = profiles.get(place.profile)
        if profile is None:
            wrong.append(f"no profile {place.profile}; this GPU has {', '.join(sorted(profiles))}")
        elif place.start not in profile.starts:
            wrong.append(f"no place for {place}; {profile.name} starts at {', '.join(map(str, profile.starts))}")
        else:
            taken.update(range(place.start, place.start + profile.memory_slices))
    for name, count in Counter(place.profile for place in wanted).items():
        if name in profiles and count > profiles[name].maximum:
            wrong.append(f"{count} × {name}, at most {profiles[name].maximum} fit")
    if twice := sorted(piece for piece, count in taken.items() if count > 1):
        wrong.append(f"two instances want memory slice {', '.join(map(str, twice))}")
    if wrong:
        raise GpuError(f"the layout does not fit GPU {index}: {'; '.join(wrong)}")
