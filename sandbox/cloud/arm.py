"""Azure Resource Manager as we understand it: resources, their identifiers and what depends on what, in one JSON file.

What "exists" is `azure.json` in the sandbox's directory: {id: {"kind", "inputs", "outputs"}}. Editing it makes drift.
"""

import contextlib
import fcntl
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties, changes, top

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A resource type. `names` are its name properties from the outermost in, its own last."""

    arm: str
    names: tuple[str, ...]
    force_new: tuple[str, ...] = ()
    """Properties whose change replaces it, besides its names and its location."""
    frozen: re.Pattern[str] | None = None
    """Paths the provider plans as an update and Azure refuses (pulumi-azure-native#577). The named group that matches
    is Azure's own name of the property."""
    thawed: tuple[str, ...] = ()
    """Frozen paths that Azure does change while the machine is deallocated."""
    write_only: tuple[tuple[str, str], ...] = ()
    """Properties that Azure never returns."""
    has_location: bool = True

    @property
    def own_name(self) -> str:
        """The property with the resource's own name."""
        return self.names[-1]

    def replaces(self, path: str) -> bool:
        """Whether a change at this path replaces the resource."""
        first = top(path)
        return first in ("resourceGroupName", *self.names, *self.force_new) or (
            first == "location" and self.has_location
        )


KINDS = {
    "resources:ResourceGroup": Kind(arm="", names=("resourceGroupName",)),
    "network:VirtualNetwork": Kind(arm="Microsoft.Network/virtualNetworks", names=("virtualNetworkName",)),
    "network:Subnet": Kind(
        arm="Microsoft.Network/virtualNetworks/subnets", names=("virtualNetworkName", "subnetName"), has_location=False
    ),
    "network:NetworkSecurityGroup": Kind(
        arm="Microsoft.Network/networkSecurityGroups", names=("networkSecurityGroupName",)
    ),
    "network:PublicIPAddress": Kind(
        arm="Microsoft.Network/publicIPAddresses",
        names=("publicIpAddressName",),
        force_new=("sku", "publicIPAddressVersion", "publicIPPrefix"),
    ),
    "network:NetworkInterface": Kind(arm="Microsoft.Network/networkInterfaces", names=("networkInterfaceName",)),
    "network:LoadBalancer": Kind(
        arm="Microsoft.Network/loadBalancers", names=("loadBalancerName",), force_new=("sku", "extendedLocation")
    ),
    "compute:VirtualMachine": Kind(
        arm="Microsoft.Compute/virtualMachines",
        names=("vmName",),
        frozen=re.compile(
            r"osProfile\.(?P<os>customData|adminUsername|computerName|linuxConfiguration\.ssh\.publicKeys)"
            r"|storageProfile\.(?P<storage>imageReference|osDisk\.(createOption|name|managedDisk\.storageAccountType))"
            r"|(?P<security>securityProfile)(\.securityType)?$|(?P<machine>priority|evictionPolicy|billingProfile|zones)"
        ),
        thawed=("storageProfile.osDisk.managedDisk.storageAccountType",),
        write_only=(("osProfile", "customData"), ("osProfile", "adminPassword")),
    ),
    "devtestlab:GlobalSchedule": Kind(arm="Microsoft.DevTestLab/schedules", names=("name",)),
}
_USED_BY_ONE = ("network:NetworkInterface", "network:PublicIPAddress")

Records: TypeAlias = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Cloud:
    """The subscription: one file, changed by one caller at a time."""

    path: Path

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Cloud":
        """The subscription of a sandbox."""
        return cls(sandbox.root / "azure.json")

    def read(self) -> Records:
        """What exists, for callers that change nothing."""
        records: Records = json.loads(self.path.read_text()) if self.path.exists() else {}
        return records

    @contextlib.contextmanager
    def open(self) -> Iterator[Records]:
        """What exists, to be changed in here; the changes are kept unless an exception is raised."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = self.read()
            yield records
            draft = self.path.with_suffix(".new")
            draft.write_text(json.dumps(records, indent=1))
            draft.replace(self.path)


def identifier(kind: str, inputs: Properties) -> str:
    """The ARM id of a resource."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{inputs['resourceGroupName']}"
    if not KINDS[kind].arm:
        return group
    namespace, *types = KINDS[kind].arm.split("/")
    pairs = [f"{part}/{inputs[name]}" for part, name in zip(types, KINDS[kind].names, strict=True)]
    return "/".join([group, "providers", namespace, *pairs])


def references(value: object) -> Iterator[str]:
    """Every ARM id anywhere in `value`."""
    if isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, str) and value.startswith("/subscriptions/"):
        yield value


def require_surroundings(
    records: Records, kind: str, new_id: str, inputs: Properties, *, own_parts: Collection[str] = ()
) -> None:
    """Refuse a resource whose group, parent or references are missing, or which takes what another one uses.

    `own_parts`: ARM ids of what the resource itself brings.
    """
    group = identifier("resources:ResourceGroup", inputs)
    if new_id != group and group not in records:
        raise Failure(f'Code="ResourceGroupNotFound" Message="{group} could not be found."')
    if kind == "network:Subnet" and new_id.rsplit("/", 2)[0] not in records:
        raise Failure(f'Code="ParentResourceNotFound" Message="The virtual network of {new_id} does not exist."')
    for reference in set(references(inputs)) - set(own_parts):
        if reference not in records:
            raise Failure(f'Code="InvalidResourceReference" Message="{reference}, used by {new_id}, was not found."')
        users = [other for other in _users(records, reference) if other != new_id]
        if users and records[reference]["kind"] in _USED_BY_ONE:
            raise Failure(f'Status=409 Code="InUse" Message="{reference} is already used by {users[0]}."')


def require_changeable(records: Records, kind: str, existing_id: str, inputs: Properties) -> None:
    """Refuse what Azure refuses to change on a living resource."""
    if existing_id not in records:
        raise Failure(f'Status=404 Code="ResourceNotFound" Message="{existing_id} was not found."')
    frozen = KINDS[kind].frozen
    thawed = KINDS[kind].thawed if records[existing_id].get("deallocated") else ()
    for path, _ in changes(records[existing_id]["inputs"], inputs):
        if frozen is not None and path not in thawed and (found := frozen.match(path)):
            (target,) = (name for name in found.groupdict().values() if name)
            raise Failure(
                f'Status=409 Code="PropertyChangeNotAllowed" Message="Changing property \'{target}\' is not allowed."'
                f' Target="{target}"'
            )
        _require_unused(records, kind, existing_id, path)


def _require_unused(records: Records, kind: str, existing_id: str, path: str) -> None:
    """Refuse a change that Azure makes only while nothing runs, or nothing is, there."""
    name, before = existing_id.rsplit("/", 1)[-1], records[existing_id]["inputs"]
    if kind == "compute:VirtualMachine" and path == "storageProfile.osDisk.diskSizeGB":
        raise Failure(
            f'Status=409 Code="OperationNotAllowed" Message="Cannot resize disk {name}_OsDisk while it is attached to'
            f" running VM {existing_id}. Resizing a disk of an Azure Virtual Machine requires the virtual machine to be"
            ' deallocated. Please stop your VM and retry the operation."'
        )
    if kind == "network:PublicIPAddress" and top(path) == "zones":
        raise Failure(
            f'Status=400 Code="ResourceAvailabilityZonesCannotBeModified" Message="Resource {existing_id} has an'
            f" existing availability zone constraint {', '.join(before.get('zones') or ['NoZone'])} and the request has"
            " another one. Zones cannot be added/updated/removed once the resource is created. The resource cannot be"
            ' updated from regional to zonal or vice-versa."'
        )
    if kind == "network:Subnet" and top(path) == "addressPrefix" and _users(records, existing_id):
        raise Failure(
            f'Status=400 Code="InUsePrefixCannotBeDeleted" Message="IpPrefix {before["addressPrefix"]} on Subnet {name}'
            ' has active allocations and cannot be deleted."'
        )


def inside(records: Records, resource_id: str) -> list[str]:
    """The resource itself, if it is there, and everything below it."""
    return [known for known in records if (known + "/").startswith(resource_id + "/")]


def take_away(records: Records, gone: str) -> None:
    """Remove a resource and everything below it; refuse while something else uses it."""
    below = gone + "/"
    is_group = "/providers/" not in gone
    users = [
        other
        for reference in inside(records, gone)
        for other in _users(records, reference)
        if not (other + "/").startswith(below)
    ]
    if users and not is_group:
        raise Failure(f'Status=409 Code="InUse" Message="{gone} is used by {users[0]}."')
    for known in inside(records, gone):
        del records[known]


def _users(records: Records, wanted: str) -> list[str]:
    return [known for known, record in records.items() if wanted in references(record["inputs"])]
