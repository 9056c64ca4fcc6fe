"""The kubelet's record of the devices that it gave to containers, in its checkpoint of the device manager."""

import json
from dataclasses import dataclass

from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine

PATH = "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"


@dataclass(frozen=True)
class Allocation:
    """Devices of one resource, such as nvidia.com/gpu, that a container of a pod was given."""

    pod_uid: str
    resource: str
    uuids: tuple[str, ...]


def read(machine: ThisMachine) -> tuple[Allocation, ...]:
    """What was given of NVIDIA's resources; pods that are gone may stand in it for a while. Raises NodeError."""
    path = machine.path(PATH)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["Data"]["PodDeviceEntries"] or []
        return tuple(
            Allocation(str(entry["PodUID"]), str(entry["ResourceName"]), _uuids(entry["DeviceIDs"]))
            for entry in entries
            if entry["ResourceName"].startswith("nvidia.com/")
        )
    except FileNotFoundError:  # no device plugin has ever registered
        return ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise NodeError(f"{path}, the kubelet's record of devices, is not understood: {error!r}") from error


def _uuids(devices: "dict[str, list[str]] | list[str]") -> tuple[str, ...]:
    """Device ids by NUMA node, or in one list. A shared device has `::` and a number behind its UUID."""
    lists = devices.values() if isinstance(devices, dict) else [devices]
    return tuple(dict.fromkeys(device.split("::")[0] for ids in lists for device in ids))
