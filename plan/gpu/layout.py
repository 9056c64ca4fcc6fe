"""MIG layouts: which instances stand where on each GPU of a machine."""

import json
from dataclasses import dataclass
from typing import Any

from machine.documents import layout as document
from machine.documents.layout import OnChange, Place
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

    def for_machine(self, on_change: OnChange) -> document.Layout:
        """What the machine reads: profiles by name, because it resolves ids on its own GPU."""
        gpus = tuple(
            document.GpuLayout(gpu.index, gpu.mode, tuple(Place(each.profile, each.start) for each in gpu.instances))
            for gpu in self.gpus
        )
        return document.Layout(gpus, on_change)

    def document(self) -> dict[str, Any]:
        """The stack's output `layout`: the same without what a change does about pods."""
        told: dict[str, Any] = json.loads(self.for_machine("refuse").to_json())
        return {key: value for key, value in told.items() if key != "onChange"}
