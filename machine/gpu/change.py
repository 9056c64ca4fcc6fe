"""The smallest change that brings a GPU from what it is to a wanted shape, and the commands that do it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from machine.documents.layout import GpuLayout, Place
from machine.gpu.instances import Gpu, Instance, Shape
from machine.placement import Profile, choose


@dataclass(frozen=True)
class Change:
    """What stays, goes, gets other compute instances (`repair`: right places with wrong ones), and is made."""

    keep: tuple[Instance, ...]
    remove: tuple[Instance, ...]
    repair: tuple[Instance, ...]
    create: tuple[Place, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.remove or self.repair or self.create)

    @property
    def touched(self) -> tuple[Instance, ...]:
        """The instances whose MIG devices go."""
        return self.remove + self.repair


def nearest_shape(
    gpu: Gpu, wanted: GpuLayout, profiles: dict[str, Profile], held: Collection[str], *, at_boot: bool
) -> Shape:
    """The shape with the instances of `wanted` that is reached with the smallest change.

    The most MIG devices in `held`, by UUID, stay; then the most others; then the most GPU instances that get another
    compute instance. An empty GPU gets the places of `wanted`, and at a boot they come before what nobody holds.
    """
    worth = dict.fromkeys(wanted.instances, 512 if at_boot or not gpu.instances else 0)
    for instance in gpu.instances:  # at most seven of each kind: together they never outweigh one of the next
        is_held = any(uuid in held for uuid in instance.uuids)
        value = 8 if instance.computes is not None else 4096 if is_held else 64
        worth[instance.place] = worth.get(instance.place, 0) + value
    places = choose(tuple(profiles.values()), wanted.profiles, worth, wanted.instances)
    return dict.fromkeys(places or wanted.instances)


def difference(gpu: Gpu, wanted: Shape, profiles: dict[str, Profile]) -> Change:
    """The smallest change: an instance at a wanted place is never removed. Larger ones are made first."""
    here = gpu.instances
    missing = set(wanted) - {instance.place for instance in here}
    return Change(
        keep=tuple(i for i in here if i.place in wanted and wanted[i.place] == i.computes),
        remove=tuple(i for i in here if i.place not in wanted),
        repair=tuple(i for i in here if i.place in wanted and wanted[i.place] != i.computes),
        create=tuple(sorted(missing, key=lambda place: (-profiles[place.profile].memory_slices, place.start))),
    )


def mode_command(index: int, *, mode: bool) -> list[str]:
    """The command that turns MIG mode on or off."""
    return ["-i", str(index), "-mig", str(int(mode))]


def removal(index: int, change: Change) -> list[list[str]]:
    """The commands that remove. All compute instances first: a busy one is met before anything is gone for good."""
    computes = [_of_instance(index, i, "-dci") for i in change.touched if i.computes != ()]
    return computes + [_of_instance(index, i, "-dgi") for i in change.remove]


def creation(index: int, places: Iterable[Place], profiles: dict[str, Profile], *, full: bool) -> list[str]:
    """The command that makes GPU instances; `full`: each with one compute instance of its full size."""
    tuples = ",".join(f"{profiles[place.profile].id}:{place.start}" for place in places)
    return ["mig", "-i", str(index), "-cgi", tuples, *(["-C"] if full else [])]


def compute_creation(index: int, instance: Instance, computes: tuple[int, ...] | None) -> list[str]:
    """The command that makes compute instances of these profile ids, None for one of full size."""
    return [*_of_instance(index, instance, "-cci"), *([",".join(map(str, computes))] if computes else [])]


def planned(index: int, change: Change, profiles: dict[str, Profile]) -> list[list[str]]:
    """All commands of a change to instances of full size, in their order."""
    commands = removal(index, change)
    if change.create:
        commands.append(creation(index, change.create, profiles, full=True))
    return commands + [compute_creation(index, instance, None) for instance in change.repair]


def _of_instance(index: int, instance: Instance, option: str) -> list[str]:
    return ["mig", "-i", str(index), "-gi", str(instance.id), option]
