"""The machine that is booted for a virtual machine of Azure's."""

import base64
from typing import Any

from sandbox.cloud import private_addresses
from sandbox.cloud.arm import Records
from sandbox.cloud.hardware import gpus
from sandbox.host.machine import MachineSpec
from sandbox.providers.resource_provider import Failure

MACHINE = "compute:VirtualMachine"


def machine_spec(records: Records, record: dict[str, Any]) -> MachineSpec:
    """The machine to boot for a virtual machine's record, on the host that it has now."""
    inputs, vm_id = record["inputs"], record["outputs"]["vmId"]
    (interface,) = (entry["id"] for entry in inputs["networkProfile"]["networkInterfaces"])
    (setting,) = records[interface]["outputs"]["ipConfigurations"]
    if not (setting.get("publicIPAddress") or {}).get("id"):
        raise Failure(f"{interface} has no public address: the sandbox reaches its machines by theirs")
    network = private_addresses.network_of(records, setting["subnet"]["id"])
    profile = inputs["osProfile"]
    return MachineSpec(
        vm_id=vm_id,
        name=profile["computerName"],
        custom_data=base64.b64decode(profile.get("customData") or ""),
        admin_username=profile["adminUsername"],
        public_key=profile["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"],
        private_address=f"{setting['privateIPAddress']}/{network.prefixlen}",
        public_address=records[setting["publicIPAddress"]["id"]]["outputs"]["ipAddress"],
        gpus=gpus(inputs["hardwareProfile"]["vmSize"], vm_id, record.get("deallocations", 0)),
    )
