"""What Azure plugs into a machine of a size that has GPUs (Azure's size pages; models as the fake GPU names them)."""

import uuid
from collections.abc import Mapping

_GPUS: Mapping[str, tuple[str, int]] = {
    "Standard_NC24ads_A100_v4": ("A100-80GB", 1),
    "Standard_NC48ads_A100_v4": ("A100-80GB", 2),
    "Standard_NC96ads_A100_v4": ("A100-80GB", 4),
    "Standard_ND96asr_v4": ("A100-40GB", 8),
    "Standard_ND96amsr_A100_v4": ("A100-80GB", 8),
    "Standard_NC40ads_H100_v5": ("H100-NVL-94GB", 1),
    "Standard_NC80adis_H100_v5": ("H100-NVL-94GB", 2),
    "Standard_ND96isr_H100_v5": ("H100-80GB", 8),
    "Standard_ND96isr_H200_v5": ("H200-141GB", 8),
}
_NAMESPACE = uuid.UUID("6d69672d-6b38-4773-8d67-707500000000")


def gpus(vm_size: str, vm_id: str) -> tuple[dict[str, object], ...]:
    """The GPUs of a machine, by index: index, model, uuid (the same at every boot of this machine) and PCI bus id."""
    model, count = _GPUS.get(vm_size, ("", 0))
    return tuple(
        {
            "index": index,
            "model": model,
            "uuid": f"GPU-{uuid.uuid5(_NAMESPACE, f'{vm_id}/{index}')}",
            "pci_bus_id": f"{index + 1:08X}:00:00.0",  # Azure gives every passed-through device a PCI domain of its own
        }
        for index in range(count)
    )
