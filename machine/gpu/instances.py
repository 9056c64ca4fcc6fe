"""The state of a GPU: its MIG mode and its GPU instances with their compute instances, as it tells them itself."""

from dataclasses import dataclass, field, replace

from machine.documents.layout import Place
from machine.gpu.nvidia_smi import MigMode, NvidiaSmi
from machine.host.errors import GpuError

Shape = dict[Place, "tuple[int, ...] | None"]
"""Place of every GPU instance -> profile ids of its compute instances, None for one of full size."""


@dataclass(frozen=True)
class Instance:
    """A GPU instance. `computes` are the profile ids of its compute instances, None when it is one of full size."""

    id: int
    place: Place
    computes: tuple[int, ...] | None
    uuids: tuple[str, ...] = field(default=(), compare=False)
    """The UUIDs of its MIG devices, where they were asked for."""


@dataclass(frozen=True)
class Gpu:
    """What one GPU is now. `current` and `pending` are its MIG modes."""

    uuid: str
    current: bool
    pending: bool
    instances: tuple[Instance, ...]

    def shape(self) -> Shape:
        """Everything that makes two states of a GPU the same, but the modes."""
        return {instance.place: instance.computes for instance in self.instances}


def read_mode(smi: NvidiaSmi, index: int) -> tuple[bool, bool]:
    """MIG mode of a GPU, current and pending. Raises GpuError when it does not tell, or cannot be divided."""
    return _switches(index, smi.mode(index))


def read_gpu(smi: NvidiaSmi, index: int) -> Gpu:
    """The state of a GPU, without UUIDs of its devices. Raises GpuError when it does not tell."""
    mode = smi.mode(index)
    current, pending = _switches(index, mode)
    return Gpu(mode.uuid, current, pending, _read_instances(smi, index) if current else ())


def with_uuids(smi: NvidiaSmi, index: int, gpu: Gpu) -> Gpu:
    """The same state with the UUIDs of the MIG devices, which takes two more questions. Raises GpuError."""
    if not gpu.instances:
        return gpu
    uuids = _read_uuids(smi, index, gpu.uuid)
    return replace(gpu, instances=tuple(replace(i, uuids=uuids.get(i.id, ())) for i in gpu.instances))


def _switches(index: int, mode: MigMode) -> tuple[bool, bool]:
    if {mode.current, mode.pending} - {"Enabled", "Disabled"}:
        raise GpuError(f"GPU {index} has no MIG mode ({mode.current}): it cannot be divided")
    return mode.current == "Enabled", mode.pending == "Enabled"


def _read_instances(smi: NvidiaSmi, index: int) -> tuple[Instance, ...]:
    """GPU instances with their compute instances, ordered by where they lie."""
    computes: dict[int, list[tuple[str, int]]] = {}
    for _, instance, _, name, number, *_ in smi.table(index, "-lci"):
        computes.setdefault(int(instance), []).append((name, int(number)))
    instances = []
    for _, _, name, _, number, placement in smi.table(index, "-lgi"):
        inside = computes.get(int(number), [])
        # A compute instance of the full size has its GPU instance's name; a smaller one has "1c." before it.
        is_full = [compute for compute, _ in inside] == [name]
        place = Place(name, int(placement.split(":")[0]))
        shape = None if is_full else tuple(sorted(number for _, number in inside))
        instances.append(Instance(int(number), place, shape))
    return tuple(sorted(instances, key=lambda instance: (instance.place.start, instance.id)))


def _read_uuids(smi: NvidiaSmi, index: int, uuid: str) -> dict[int, tuple[str, ...]]:
    """GPU instance id -> UUIDs of its MIG devices: one listing has the UUIDs, another says which device is which."""
    devices = {device.number: device.uuid for gpu in smi.listed() if gpu.index == index for device in gpu.devices}
    return {
        instance: tuple(devices[number] for number in numbers if number in devices)
        for instance, numbers in smi.device_numbers(index, uuid).items()
    }
