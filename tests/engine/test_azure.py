"""The Azure stand-in: what it refuses, replaces, previews and forgets. No machine is booted here."""

import base64

import pytest
from azure_resources import (
    ADDRESS,
    GROUP,
    INTERFACE,
    MACHINE,
    RULES,
    SCHEDULE,
    SUBNET,
    SUBSCRIPTION,
    address,
    group,
    interface_inputs,
    machine_inputs,
    make,
    subnet,
)

from sandbox.cloud import arm, azure_native
from sandbox.cloud.azure_native import AzureNative
from sandbox.cloud.hardware import gpus
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure, InvalidInput


def test_a_property_the_sdk_does_not_have_is_refused_with_its_path(azure: AzureNative) -> None:
    with pytest.raises(InvalidInput, match=r"'priorty' is not a property of SecurityRuleArgs") as refused:
        azure.check(RULES, "n", {}, {"resourceGroupName": "rg", "securityRules": [{"priorty": 100}]}, b"")
    assert refused.value.path == "securityRules[0].priorty"


def test_a_missing_required_property_is_refused(azure: AzureNative) -> None:
    rule = {"name": "ssh", "access": "Allow", "direction": "Inbound", "priority": 100}
    with pytest.raises(InvalidInput, match=r"missing required property 'protocol'"):
        azure.check(RULES, "n", {}, {"resourceGroupName": "rg", "securityRules": [rule]}, b"")


def test_two_rules_of_one_priority_are_refused(azure: AzureNative) -> None:
    rule = {"access": "Allow", "direction": "Inbound", "priority": 100, "protocol": "Tcp", "sourceAddressPrefix": "*"}
    with pytest.raises(InvalidInput, match=r"priority 100 is given twice"):
        azure.check(RULES, "n", {}, {"resourceGroupName": "rg", "securityRules": [rule, rule]}, b"")


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"adminUsername": "root"}, "the admin user name 'root' is not allowed"),
        ({"customData": "not base64!"}, "must be in Base64 encoding"),
        ({"customData": base64.b64encode(b"x" * 65_536).decode()}, "65536 bytes; at most 65535 are allowed"),
        ({"linuxConfiguration": {"disablePasswordAuthentication": True}}, "nobody could log in"),
    ],
)
def test_a_machine_azure_would_refuse_is_refused(azure: AzureNative, profile: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        azure.check(MACHINE, "n", {}, machine_inputs(**profile), b"")


def test_a_machines_schedule_has_one_possible_name(azure: AzureNative) -> None:
    inputs = {"resourceGroupName": "rg", "name": "nightly", "targetResourceId": "/x/virtualMachines/gpu"}
    with pytest.raises(InvalidInput, match=r"must be called shutdown-computevm-gpu"):
        azure.check(SCHEDULE, "n", {}, inputs, b"")


def test_a_resource_it_does_not_know_is_refused(azure: AzureNative) -> None:
    with pytest.raises(Failure, match=r"does not stand in for azure-native:storage:StorageAccount"):
        azure.check("azure-native:storage:StorageAccount", "n", {}, {}, b"")


def test_nothing_is_made_outside_a_group(azure: AzureNative) -> None:
    with pytest.raises(Failure, match=r"ResourceGroupNotFound"):
        address(azure, "ip")


def test_public_addresses_are_the_sandboxs_and_none_is_given_twice(azure: AzureNative) -> None:
    group(azure)
    first, state = address(azure, "one")
    assert state["ipAddress"] == "10.99.200.10"
    assert address(azure, "two")[1]["ipAddress"] == "10.99.200.11"
    azure.delete(ADDRESS, "urn", first, state)
    assert address(azure, "three")[1]["ipAddress"] == "10.99.200.10"


def test_what_another_resource_uses_can_be_neither_shared_nor_deleted(azure: AzureNative) -> None:
    group(azure)
    net = subnet(azure)
    used, state = address(azure, "ip")
    assert used == f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Network/publicIPAddresses/ip"
    make(azure, INTERFACE, **interface_inputs("a", net, publicIPAddress={"id": used}))
    with pytest.raises(Failure, match=r"InUse.*ip is already used by .*/a"):
        make(azure, INTERFACE, **interface_inputs("b", net, publicIPAddress={"id": used}))
    with pytest.raises(Failure, match=r"InUse"):
        azure.delete(ADDRESS, "urn", used, state)


def test_a_group_takes_everything_in_it_along(azure: AzureNative) -> None:
    whole, state = group(azure)
    inside, inputs = address(azure, "ip")
    azure.delete(GROUP, "urn", whole, state)
    assert azure.read(ADDRESS, inside, {}, inputs) == ("", {}, {})


class Ended:
    """Machines and load balancers of which only is noted which end."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def stop(self, sandbox: Sandbox, what: str) -> None:
        assert sandbox.name == "azure-test"
        self.noted.append(what)


def test_with_a_group_end_its_machines_and_load_balancers_also_those_that_nobody_noted(azure: AzureNative) -> None:
    whole, state = group(azure)
    other = whole.replace("/rg", "/other")
    root = Sandbox.from_environment().root
    (root / "keys").mkdir()
    (root / "keys/host.pub").write_text("ssh-ed25519 AAAA\n")
    with arm.Cloud(root / "azure.json").open() as records:
        for name, in_group in (("one", whole), ("two", whole), ("else", other)):
            vm = f"{in_group}/providers/Microsoft.Compute/virtualMachines/{name}"
            records[vm] = {
                "kind": MACHINE.partition(":")[2],
                "inputs": {},
                "outputs": {"vmId": f"id-{name}", "name": name},
            }
        balancer = f"{whole}/providers/Microsoft.Network/loadBalancers/api"
        records[balancer] = {"kind": "network:LoadBalancer", "inputs": {}, "outputs": {}}
    ended = Ended()
    AzureNative(ended, ended).delete(GROUP, "urn", whole, state)  # type: ignore[arg-type]
    assert sorted(ended.noted) == [balancer, "id-one", "id-two"]


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        (MACHINE, "vmName", True),
        (MACHINE, "location", True),
        (MACHINE, "tags.owner", False),
        (ADDRESS, "sku.name", True),
        (ADDRESS, "dnsSettings.domainNameLabel", False),
        (SUBNET, "addressPrefix", False),
    ],
)
def test_names_location_and_skus_replace(azure: AzureNative, token: str, path: str, replaced: bool) -> None:
    assert azure.replaces(token, path) is replaced


def test_custom_data_is_never_given_back_and_a_refresh_sees_no_change_of_it(azure: AzureNative) -> None:
    with arm.Cloud(Sandbox.from_environment().root / "azure.json").open() as records:
        records["vm"] = {
            "kind": "compute:VirtualMachine",
            "inputs": {},
            "outputs": {"osProfile": {"computerName": "m"}},
        }
    inputs = {"osProfile": {"computerName": "m", "customData": "c2VjcmV0"}}
    _, state, seen = azure.read(MACHINE, "vm", {}, inputs)
    assert state == {"osProfile": {"computerName": "m"}}
    assert seen == inputs


@pytest.mark.usefixtures("azure")
def test_a_machines_state_holds_no_custom_data_and_keeps_its_vm_id() -> None:
    inputs = machine_inputs(customData="c2VjcmV0")
    sandbox, machine_id = Sandbox.from_environment(), arm.identifier("compute:VirtualMachine", inputs)
    made = azure_native._outputs(sandbox, {}, "compute:VirtualMachine", machine_id, inputs)
    assert "customData" not in made["osProfile"]
    assert inputs["osProfile"]["customData"] == "c2VjcmV0"
    record = {machine_id: {"kind": "compute:VirtualMachine", "inputs": inputs, "outputs": made}}
    changed = azure_native._outputs(sandbox, record, "compute:VirtualMachine", machine_id, inputs)
    assert changed["vmId"] == made["vmId"]


def test_a_machine_has_the_gpus_of_its_size_with_ids_of_their_own() -> None:
    four = gpus("Standard_NC96ads_A100_v4", "8d2b0a2e-9d62-4ea5-9b3e-3a1f0b6e7c11")
    assert [gpu["index"] for gpu in four] == [0, 1, 2, 3]
    assert {gpu["model"] for gpu in four} == {"A100-80GB"}
    assert len({gpu["uuid"] for gpu in four} | {gpu["pci_bus_id"] for gpu in four}) == 8
    assert gpus("Standard_NC96ads_A100_v4", "8d2b0a2e-9d62-4ea5-9b3e-3a1f0b6e7c11") == four
    assert gpus("Standard_D4s_v5", "8d2b0a2e-9d62-4ea5-9b3e-3a1f0b6e7c11") == ()


def test_without_a_sandbox_an_operation_is_refused_and_a_check_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIG_K8S_SANDBOX", raising=False)
    azure = AzureNative()
    checked = azure.check(GROUP, "n", {}, {"resourceGroupName": "rg", "location": "westeurope"}, b"")
    with pytest.raises(Failure, match=r"nothing can be made without a sandbox, only previewed"):
        azure.create(GROUP, "urn", checked, 0)
