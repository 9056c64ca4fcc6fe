"""What Azure plugs into a machine of a size that has GPUs."""

import uuid

from plan.gpu.catalogue import vm_sizes

_NAMESPACE = uuid.UUID("6d69672d-6b38-4773-8d67-707500000000")


def gpus(vm_size: str, vm_id: str, moves: int = 0) -> tuple[dict[str, object], ...]:
    """The GPUs of a machine: index, model, uuid (the same at every boot), PCI bus id, NVSwitch or not.

    `moves`: how often it has been deallocated. Each time it comes back on another host, whose GPUs are others.
    """
    size = vm_sizes().get(vm_size)
    if size is None or size.gpu is None:
        return ()
    return tuple(
        {
            "index": index,
            "model": size.gpu.name,
            "uuid": f"GPU-{uuid.uuid5(_NAMESPACE, f'{vm_id}/{index}' + (f'/{moves}' if moves else ''))}",
            "pci_bus_id": f"{index + 1:08X}:00:00.0",  # Azure gives every passed-through device a PCI domain of its own
            **({"nvswitch": True} if size.nvswitch else {}),
        }
        for index in range(size.gpu_count)
    )
