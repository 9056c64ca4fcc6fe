"""The power of virtual machines: what Azure's instance view tells, what `az vm deallocate` and `az vm start` do.

A machine that is deallocated keeps its disk, its interface and its addresses, and answers nobody. Started again it is
on another host, with other GPUs of its model.
"""

from typing import Any, Protocol

from sandbox.cloud.arm import Cloud, Records
from sandbox.cloud.machine_spec import MACHINE, machine_spec
from sandbox.error import SandboxError
from sandbox.host.machine import MachineSpec, MachineStatus
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties

INSTANCE_VIEW = "instanceView"
"""What `expand` of a read must be for the power to be told (Azure's InstanceViewTypes)."""


class Machines(Protocol):
    """What boots and ends machines: `sandbox.host.machine`. Its methods raise SandboxError where they cannot."""

    def start(self, sandbox: Sandbox, spec: MachineSpec) -> None:
        """Boot the machine, one that is off from its own disk; its description lies in its directory afterwards."""

    def power_off(self, sandbox: Sandbox, vm_id: str) -> None:
        """End the machine and take it from the network; its disk stays. It is fine if there is none."""

    def stop(self, sandbox: Sandbox, vm_id: str) -> None:
        """End the machine and forget it. It is fine if there is none."""

    def status(self, sandbox: Sandbox, vm_id: str) -> MachineStatus:
        """Whether it runs."""


def deallocate(sandbox: Sandbox, name: str, machines: Machines) -> None:
    """`az vm deallocate`; the same as an eviction with the policy Deallocate. Raises SandboxError."""
    with Cloud.of(sandbox).open() as records:
        record = records[_named(records, name)]
        record["deallocations"] = record.get("deallocations", 0) + (not record.get("deallocated"))
        record["deallocated"] = True
    machines.power_off(sandbox, record["outputs"]["vmId"])


def start(sandbox: Sandbox, name: str, machines: Machines) -> None:
    """`az vm start`. Raises SandboxError."""
    with Cloud.of(sandbox).open() as records:
        record = records[_named(records, name)]
        record["deallocated"] = False
        spec = machine_spec(records, record)
    if machines.status(sandbox, spec.vm_id) is not MachineStatus.RUNNING:
        machines.start(sandbox, spec)


def evict(sandbox: Sandbox, name: str, machines: Machines) -> None:
    """What Azure does to a spot machine when it needs the capacity, by the machine's policy. Raises SandboxError."""
    with Cloud.of(sandbox).open() as records:
        vm = _named(records, name)
        inputs, vm_id = records[vm]["inputs"], records[vm]["outputs"]["vmId"]
        if inputs.get("priority") != "Spot":
            raise SandboxError(f"{name} is not a spot machine: Azure does not evict it")
        gone = inputs.get("evictionPolicy") == "Delete"
        if gone:
            del records[vm]
    if gone:
        machines.stop(sandbox, vm_id)
    else:
        deallocate(sandbox, name, machines)


def vm_id(sandbox: Sandbox, name: str) -> str:
    """The id of a machine by its name. Raises SandboxError."""
    with Cloud.of(sandbox).open() as records:
        found: str = records[_named(records, name)]["outputs"]["vmId"]
        return found


def instance_view(sandbox: Sandbox, record: dict[str, Any], machines: Machines) -> Properties:
    """The parts of a machine's instance view that tell how it is."""
    if record.get("deallocated"):
        code = "deallocated"
    elif machines.status(sandbox, record["outputs"]["vmId"]) is MachineStatus.RUNNING:
        code = "running"
    else:  # its own `poweroff`: the host stays allocated, and is paid for
        code = "stopped"
    return {
        "statuses": [
            {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
            {"code": f"PowerState/{code}", "level": "Info", "displayStatus": f"VM {code}"},
        ]
    }


def expanded(sandbox: Sandbox, record: dict[str, Any], expand: object, machines: Machines) -> Properties:
    """What a read answers beside the machine's own properties. Raises Failure in Azure's words."""
    if expand is None:
        return {}
    if expand != INSTANCE_VIEW:
        raise Failure(f'Status=400 Code="BadRequest" Message="The expand expression \'{expand}\' is not supported."')
    return {"instanceView": instance_view(sandbox, record, machines)}


def _named(records: Records, name: str) -> str:
    found = [known for known, record in records.items() if record["kind"] == MACHINE and known.endswith(f"/{name}")]
    if not found:
        raise SandboxError(f"there is no machine {name} in this sandbox's Azure")
    return found[0]
