"""MIG layouts: which instances all GPUs of a machine shall have, and where an empty GPU gets them."""

import json
from dataclasses import dataclass
from typing import Any

from machine.documents import layout as document
from machine.documents.layout import GpuLayout, OnChange, Place
from plan.gpu.catalogue import GpuModel, Profile


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """All GPUs of one machine, which are all of one model."""

    model: GpuModel
    gpus: tuple[GpuLayout, ...]

    @property
    def modes(self) -> tuple[bool, ...]:
        """Wanted MIG mode by GPU index."""
        return tuple(gpu.mode for gpu in self.gpus)

    def profile(self, instance: Place) -> Profile:
        """The profile of an instance of this layout."""
        return next(profile for profile in self.model.profiles if profile.name == instance.profile)

    def for_machine(self, on_change: OnChange) -> document.Layout:
        """What the machine reads: profiles by name, because it resolves ids on its own GPU."""
        return document.Layout(self.gpus, on_change)

    def document(self) -> dict[str, Any]:
        """The stack's output `layout`: the same without what a change does about pods."""
        told: dict[str, Any] = json.loads(self.for_machine("refuse").to_json())
        return {key: value for key, value in told.items() if key != "onChange"}
