"""What `nvidia-smi -L` lists, alone or as a part of a pod's log."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Listing:
    """`gpus`: (index, UUID); `mig_devices`: (profile, UUID); each in the order of the text."""

    gpus: tuple[tuple[int, str], ...]
    mig_devices: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> "Listing":
        """Lines that list nothing are passed over."""
        gpus = re.findall(r"^GPU (\d+): .*\(UUID: (GPU-\S+)\)", text, re.MULTILINE)
        devices = re.findall(r"^ +MIG (\S+) +Device +\d+: \(UUID: (MIG-\S+)\)", text, re.MULTILINE)
        return cls(tuple((int(index), uuid) for index, uuid in gpus), tuple(devices))
