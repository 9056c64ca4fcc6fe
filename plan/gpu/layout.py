"""MIG layouts: which instances stand where on each GPU of a machine."""

import json
from dataclasses import dataclass
from typing import Any

from plan.gpu.catalogue import GpuModel, Profile


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Instance:
    """A GPU instance at its placement: `size` memory slots from `start`."""

    profile: str
    start: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuLayout:
    """What one GPU shall be: MIG mode off, or on with these instances (largest first)."""

    index: int
    mode: bool
    instances: tuple[Instance, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """All GPUs of one machine, which are all of one model."""

    model: GpuModel
    gpus: tuple[GpuLayout, ...]

    @property
    def modes(self) -> tuple[bool, ...]:
        """Wanted MIG mode by GPU index."""
        return tuple(gpu.mode for gpu in self.gpus)

    def profile(self, instance: Instance) -> Profile:
        """The profile of an instance of this layout."""
        return next(profile for profile in self.model.profiles if profile.name == instance.profile)

    def document(self) -> dict[str, Any]:
        """What `mig-apply` reads: profiles by name, because the machine resolves ids on its own GPU."""
        gpus = [
            {
                "index": gpu.index,
                "mode": gpu.mode,
                "instances": [{"profile": instance.profile, "start": instance.start} for instance in gpu.instances],
            }
            for gpu in self.gpus
        ]
        return {"version": 1, "gpus": gpus}

    def json(self) -> str:
        """The same as text."""
        return json.dumps(self.document(), indent=2) + "\n"
