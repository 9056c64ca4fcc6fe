"""The GPU instance profiles of a GPU, and whether a layout fits them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from machine.documents.layout import Place
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.errors import GpuError


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile as this GPU has it: at most `total` of it, each of `size` memory slices from a start."""

    name: str
    id: int
    total: int
    starts: tuple[int, ...]
    size: int


def read_profiles(smi: NvidiaSmi, index: int) -> dict[str, Profile]:
    """The profiles of a GPU by name. Works with MIG mode off. Raises GpuError."""
    placements = smi.placements(index)
    profiles = {}
    for _, _, name, number, counts, *_ in smi.table(index, "-lgip"):
        starts, size = placements.get(int(number), ((), 0))
        profiles[name] = Profile(name, int(number), int(counts.split("/")[1]), starts, size)
    if not profiles:
        raise GpuError(f"GPU {index} lists no profiles")
    return profiles


def check_places(index: int, places: Iterable[Place], profiles: dict[str, Profile]) -> None:
    """Raises GpuError with everything that this GPU cannot do."""
    wanted = list(places)
    wrong, taken = [], Counter[int]()
    for place in wanted:
        profile = profiles.get(place.profile)
        if profile is None:
            wrong.append(f"no profile {place.profile}; this GPU has {', '.join(sorted(profiles))}")
        elif place.start not in profile.starts:
            wrong.append(f"no place for {place}; {profile.name} starts at {', '.join(map(str, profile.starts))}")
        else:
            taken.update(range(place.start, place.start + profile.size))
    for name, count in Counter(place.profile for place in wanted).items():
        if name in profiles and count > profiles[name].total:
            wrong.append(f"{count} × {name}, at most {profiles[name].total} fit")
    if twice := sorted(piece for piece, count in taken.items() if count > 1):
        wrong.append(f"two instances want memory slice {', '.join(map(str, twice))}")
    if wrong:
        raise GpuError(f"the layout does not fit GPU {index}: {'; '.join(wrong)}")
