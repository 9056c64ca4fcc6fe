"""Private addresses of interfaces: which interface has which, and what Azure refuses to give.

An address belongs to its interface from the interface's creation to its deletion, whatever becomes of the machine.
"""

import ipaddress
from typing import Any

from sandbox.cloud.arm import Records
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties

INTERFACE = "network:NetworkInterface"
_KEPT_AT_THE_START = 4
"""Of every subnet Azure keeps the first four addresses and the last."""


def allocate(records: Records, interface: str, inputs: Properties) -> list[dict[str, Any]]:
    """The interface's configurations, each with its `privateIPAddress`. Raises Failure in Azure's words."""
    held = _held(records, interface)
    before = {each["name"]: each for each in records.get(interface, {}).get("outputs", {}).get("ipConfigurations", ())}
    allocated = []
    for setting in inputs.get("ipConfigurations") or ():
        own = f"{interface}/ipConfigurations/{setting['name']}"
        if not (setting.get("subnet") or {}).get("id"):
            raise Failure(f'Status=400 Code="InvalidRequestFormat" Message="{own} has no subnet."')
        address = _address(records, own, setting, before.get(setting["name"], {}), held)
        held[setting["subnet"]["id"], address] = own
        allocated.append({**setting, "privateIPAddress": address})
    return allocated


def network_of(records: Records, subnet: str) -> ipaddress.IPv4Network:
    """The addresses of a subnet."""
    inputs = records[subnet]["inputs"]
    return ipaddress.IPv4Network(inputs.get("addressPrefix") or inputs["addressPrefixes"][0])


def _held(records: Records, but: str) -> dict[tuple[str, str], str]:
    """(subnet, address) → the configuration that has it, of all interfaces but one."""
    return {
        (setting["subnet"]["id"], setting["privateIPAddress"]): f"{known}/ipConfigurations/{setting['name']}"
        for known, record in records.items()
        if record["kind"] == INTERFACE and known != but
        for setting in record["outputs"].get("ipConfigurations") or ()
    }


def _address(
    records: Records, own: str, setting: Properties, before: Properties, held: dict[tuple[str, str], str]
) -> str:
    subnet = setting["subnet"]["id"]
    network = network_of(records, subnet)
    if setting.get("privateIPAllocationMethod") == "Static":
        return _static(own, setting, network, held)
    if before.get("subnet") == setting["subnet"]:
        return str(before["privateIPAddress"])
    for address in list(network)[_KEPT_AT_THE_START:-1]:
        if (subnet, str(address)) not in held:
            return str(address)
    raise Failure(
        f'Status=400 Code="SubnetIsFull" Message="Subnet {subnet.rsplit("/", 1)[1]} with address prefix {network}'
        ' does not have enough capacity for 1 IP addresses."'
    )


def _static(own: str, setting: Properties, network: ipaddress.IPv4Network, held: dict[tuple[str, str], str]) -> str:
    wanted, subnet = setting.get("privateIPAddress"), setting["subnet"]["id"]
    if not wanted:
        raise Failure(
            f'Status=400 Code="StaticIpConfigurationIPAddressMissing" Message="{own} has no static private address."'
        )
    address = ipaddress.IPv4Address(wanted)
    if address not in network:
        raise Failure(
            f'Status=400 Code="PrivateIPAddressNotInSubnet" Message="Private static IP address {wanted} does not'
            f' belong to the range of subnet prefix {network}."'
        )
    place = int(address) - int(network.network_address)
    if place < _KEPT_AT_THE_START or address == network.broadcast_address:
        raise Failure(
            f'Status=400 Code="PrivateIPAddressInReservedRange" Message="Private static IP address {wanted} falls'
            f' within reserved IP range of subnet prefix {network}."'
        )
    if holder := held.get((subnet, wanted)):
        raise Failure(
            f'Status=400 Code="PrivateIPAddressIsAllocated" Message="IP configuration {own} is using the private IP'
            f' address {wanted} which is already allocated to resource {holder}."'
        )
    return str(wanted)
