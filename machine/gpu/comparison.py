"""The GPUs compared with a layout whose places somebody else chooses: by MIG mode and by the profiles of devices."""

from collections import Counter
from dataclasses import dataclass

from machine.documents.layout import GpuLayout, Layout
from machine.gpu.nvidia_smi import MigMode, NvidiaSmi


@dataclass(frozen=True)
class Comparison:
    """What GPUs are, by index, and what they shall be. One that does not answer is in neither `devices` nor `modes`."""

    wanted: Layout
    devices: dict[int, Counter[str]]
    modes: dict[int, MigMode]

    @property
    def to_be_emptied(self) -> list[int]:
        """GPUs that keep MIG mode on and have other devices. MIG Manager, too, removes all devices of such a GPU."""
        return [
            gpu.index
            for gpu in self.wanted.gpus
            if gpu.mode and self.devices.get(gpu.index) and self.devices[gpu.index] != Counter(gpu.profiles)
        ]

    @property
    def with_another_mode(self) -> list[int]:
        """GPUs whose mode changes; the machine's mig-mode stage does that."""
        return [gpu.index for gpu in self.wanted.gpus if gpu.index in self.modes and not self._has_mode(gpu)]

    @property
    def is_right(self) -> bool:
        """Whether every GPU answers, and has its mode and its devices."""
        return not self.with_another_mode and all(
            self.devices.get(gpu.index) == Counter(gpu.profiles) for gpu in self.wanted.gpus
        )

    def _has_mode(self, gpu: GpuLayout) -> bool:
        mode = self.modes[gpu.index]
        return {mode.current, mode.pending} == {"Enabled" if gpu.mode else "Disabled"}


def compared(smi: NvidiaSmi, wanted: Layout) -> Comparison:
    """Read all GPUs. Without the driver's module none answers. Raises GpuError on a hang or without nvidia-smi."""
    devices = {gpu.index: Counter(device.profile for device in gpu.devices) for gpu in smi.listed()}
    return Comparison(wanted, devices, smi.modes())
