"""The kubelet's record of the devices that it gave to containers, in its checkpoint of the device manager."""

import json
from dataclasses import dataclass

from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine

PATH = "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"


@dataclass(frozen=True)
class Allocation:
    """Devices of one resource, such as nvidia.com/gpu, that a container of a pod was given.

    `ids`: as the device plugin calls them: the UUID and, of a device that several pods share, `::` and a number.
    """

    pod_uid: str
    resource: str
    ids: tuple[str, ...]

    @property
    def uuids(self) -> tuple[str, ...]:
        """The UUIDs of the devices, each once."""
        return tuple(dict.fromkeys(uuid_of(device) for device in self.ids))


def read(machine: ThisMachine) -> tuple[Allocation, ...]:
    """What was given of NVIDIA's resources; pods that are gone may stand in it for a while. Raises NodeError."""
    path = machine.path(PATH)
    try:
        return understood(path.read_text(encoding="utf-8"))
    except FileNotFoundError:  # no device plugin has ever registered
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"{path}, the kubelet's record of devices, cannot be read: {error!r}") from error


def understood(text: str) -> tuple[Allocation, ...]:
    """The record that a checkpoint holds. Raises NodeError."""
    try:
        entries = json.loads(text)["Data"]["PodDeviceEntries"] or []
        return tuple(
            Allocation(str(entry["PodUID"]), str(entry["ResourceName"]), _ids(entry["DeviceIDs"]))
            for entry in entries
            if entry["ResourceName"].startswith("nvidia.com/")
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NodeError(f"{PATH}, the kubelet's record of devices, is not understood: {error!r}") from error


def uuid_of(device: str) -> str:
    """The UUID in a device's id."""
    return device.partition("::")[0]


def _ids(devices: "dict[str, list[str]] | list[str]") -> tuple[str, ...]:
    """Device ids by NUMA node, or in one list."""
    lists = devices.values() if isinstance(devices, dict) else [devices]
    return tuple(str(device) for ids in lists for device in ids)
