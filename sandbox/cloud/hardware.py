"""What Azure plugs into a machine of a size that has GPUs."""

import json
import uuid
from functools import cache
from typing import Any

from sandbox.virtualenv import CHECKOUT

_CATALOGUE = CHECKOUT / "plan" / "gpu" / "catalogue.json"
"""One table for the plan and this. The plan's own reading of it would bring pydantic, in each run of the engine."""
_NAMESPACE = uuid.UUID("6d69672d-6b38-4773-8d67-707500000000")


def gpus(vm_size: str, vm_id: str, moves: int = 0) -> tuple[dict[str, object], ...]:
    """The GPUs of a machine: index, model, uuid (the same at every boot), PCI bus id, NVSwitch or not.

    `moves`: how often it has been deallocated. Each time it comes back on another host, whose GPUs are others.
    """
    size = _sizes().get(vm_size)
    if size is None:
        return ()
    return tuple(
        {
            "index": index,
            "model": size["gpu"],
            "uuid": f"GPU-{uuid.uuid5(_NAMESPACE, f'{vm_id}/{index}' + (f'/{moves}' if moves else ''))}",
            "pci_bus_id": f"{index + 1:08X}:00:00.0",  # Azure gives every passed-through device a PCI domain of its own
            **({"nvswitch": True} if size.get("nvswitch") else {}),
        }
        for index in range(size["gpu_count"])
    )


@cache
def _sizes() -> dict[str, dict[str, Any]]:
    """Azure's sizes that have GPUs, by name."""
    sizes: dict[str, dict[str, Any]] = json.loads(_CATALOGUE.read_text(encoding="utf-8"))["sizes"]
    return sizes
