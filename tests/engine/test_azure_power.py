"""The power of machines by the Azure stand-in: what its instance view says, and what stays over a deallocation."""

from typing import Any

import pytest
from azure_resources import INTERFACE, MACHINE, address, group, interface_inputs, machine_inputs, make, subnet

from sandbox.cloud import arm, power
from sandbox.cloud.azure_native import AzureNative
from sandbox.error import SandboxError
from sandbox.host.machine import MachineSpec, MachineStatus
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure

READ = "azure-native:compute:getVirtualMachine"


class NotedMachines:
    """Boots nothing; notes what each machine was booted with."""

    def __init__(self) -> None:
        self.booted: list[MachineSpec] = []
        self.on: set[str] = set()

    def start(self, _sandbox: Sandbox, spec: MachineSpec) -> None:
        self.booted.append(spec)
        self.on.add(spec.vm_id)

    def power_off(self, _sandbox: Sandbox, vm_id: str) -> None:
        self.on.discard(vm_id)

    stop = power_off

    def status(self, _sandbox: Sandbox, vm_id: str) -> MachineStatus:
        return MachineStatus.RUNNING if vm_id in self.on else MachineStatus.OFF


@pytest.fixture
def machines() -> NotedMachines:
    return NotedMachines()


@pytest.fixture
def living(azure: AzureNative, machines: NotedMachines, monkeypatch: pytest.MonkeyPatch) -> AzureNative:
    """The stand-in with one spot machine `m` that has a GPU."""
    monkeypatch.setattr("sandbox.cloud.azure_native.access.write_ssh_files", lambda _: None)
    living = type(azure)(machines)
    group(living)
    public, _ = address(living, "ip")
    nic, _ = make(living, INTERFACE, **interface_inputs("nic", subnet(living), publicIPAddress={"id": public}))
    make(living, MACHINE, **inputs(nic))
    return living


def inputs(nic: str, **more: object) -> dict[str, Any]:
    return {
        **machine_inputs(),
        "location": "westeurope",
        "hardwareProfile": {"vmSize": "Standard_NC24ads_A100_v4"},
        "networkProfile": {"networkInterfaces": [{"id": nic}]},
        "priority": "Spot",
        "evictionPolicy": "Deallocate",
        **more,
    }


def codes(living: AzureNative) -> list[str]:
    seen = living.invoke(READ, {"resourceGroupName": "rg", "vmName": "m", "expand": "instanceView"})
    return [status["code"] for status in seen["instanceView"]["statuses"]]


def test_the_instance_view_tells_the_power_and_is_told_only_to_who_asks(
    living: AzureNative, machines: NotedMachines
) -> None:
    assert codes(living) == ["ProvisioningState/succeeded", "PowerState/running"]
    assert "instanceView" not in living.invoke(READ, {"resourceGroupName": "rg", "vmName": "m"})
    machines.on.clear()  # its own `poweroff`
    assert codes(living)[1] == "PowerState/stopped"
    power.deallocate(Sandbox.from_environment(), "m", machines)
    assert codes(living)[1] == "PowerState/deallocated"
    with pytest.raises(Failure, match="Status=400"):
        living.invoke(READ, {"resourceGroupName": "rg", "vmName": "m", "expand": "everything"})
    with pytest.raises(Failure, match='Status=404 Code="ResourceNotFound"'):
        living.invoke(READ, {"resourceGroupName": "rg", "vmName": "n", "expand": "instanceView"})


def test_started_again_it_has_its_identity_and_its_addresses_and_other_gpus(
    living: AzureNative, machines: NotedMachines
) -> None:
    sandbox = Sandbox.from_environment()
    power.deallocate(sandbox, "m", machines)
    assert machines.on == set()
    power.start(sandbox, "m", machines)
    assert codes(living)[1] == "PowerState/running"
    before, after = machines.booted
    for kept in ("vm_id", "name", "private_address", "public_address", "custom_data"):
        assert getattr(before, kept) == getattr(after, kept), kept
    assert [each["model"] for each in after.gpus] == [each["model"] for each in before.gpus]
    assert {each["uuid"] for each in after.gpus}.isdisjoint(each["uuid"] for each in before.gpus)


@pytest.mark.usefixtures("living")
def test_a_machine_that_was_only_stopped_keeps_its_gpus(machines: NotedMachines) -> None:
    machines.on.clear()
    power.start(Sandbox.from_environment(), "m", machines)
    before, after = machines.booted
    assert after.gpus == before.gpus
    power.start(Sandbox.from_environment(), "m", machines)
    assert len(machines.booted) == 2, "one that runs is started"


def test_an_eviction_goes_by_the_machines_policy(living: AzureNative, machines: NotedMachines) -> None:
    sandbox = Sandbox.from_environment()
    power.evict(sandbox, "m", machines)
    assert codes(living)[1] == "PowerState/deallocated"
    vm = arm.identifier("compute:VirtualMachine", {"resourceGroupName": "rg", "vmName": "m"})
    with arm.Cloud(sandbox.root / "azure.json").open() as records:
        records[vm]["inputs"]["evictionPolicy"] = "Delete"
    power.evict(sandbox, "m", machines)
    assert living.read(MACHINE, vm, {}, {}) == ("", {}, {})
    with pytest.raises(SandboxError, match="there is no machine m"):
        power.start(sandbox, "m", machines)


def test_the_type_of_the_disk_is_changed_only_while_a_machine_is_deallocated() -> None:
    disk = {"storageProfile": {"osDisk": {"managedDisk": {"storageAccountType": "Premium_LRS"}}}}
    other = {"storageProfile": {"osDisk": {"managedDisk": {"storageAccountType": "StandardSSD_LRS"}}}}
    record = {"inputs": disk, "deallocated": True}
    arm.require_changeable({"id": record}, "compute:VirtualMachine", "id", other)
    with pytest.raises(Failure, match="PropertyChangeNotAllowed"):
        arm.require_changeable({"id": record}, "compute:VirtualMachine", "id", {**disk, "priority": "Spot"})
    with pytest.raises(Failure, match="PropertyChangeNotAllowed"):
        arm.require_changeable({"id": {**record, "deallocated": False}}, "compute:VirtualMachine", "id", other)
