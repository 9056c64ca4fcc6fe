"""What Azure refuses, by the stand-in: its codes, and its words where a source in sandbox/refusals.md quotes them."""

import json
from typing import Any

import pytest
from azure_resources import (
    ADDRESS,
    BALANCER,
    INTERFACE,
    MACHINE,
    RULES,
    SUBNET,
    address,
    balancer_inputs,
    group,
    interface,
    interface_inputs,
    make,
    subnet,
)

from sandbox.cloud import arm
from sandbox.cloud.azure_native import AzureNative
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import UNKNOWN

FIRST, SECOND = "10.60.0.4", "10.60.0.5"


@pytest.fixture
def net(azure: AzureNative) -> str:
    """A subnet's id, 10.60.0.0/24."""
    group(azure)
    return subnet(azure)


def update(azure: AzureNative, name: str, net: str, static: str | None = None, **setting: object) -> dict[str, Any]:
    """The state of an interface after a change."""
    inputs = interface_inputs(name, net, static, **setting)
    return azure.update(INTERFACE, "urn", {}, azure.check(INTERFACE, name, {}, inputs, b""), 0)


def test_an_interface_is_given_the_lowest_free_address_after_azures_own_four(azure: AzureNative, net: str) -> None:
    assert [interface(azure, name, net) for name in "abc"] == ["10.60.0.4", "10.60.0.5", "10.60.0.6"]
    azure.delete(INTERFACE, "urn", _id("b"), {})
    assert interface(azure, "d", net) == "10.60.0.5"
    assert interface(azure, "e", net) == "10.60.0.7"


def test_an_address_that_was_chosen_stays_whatever_becomes_of_the_others_and_of_the_method(
    azure: AzureNative, net: str
) -> None:
    for name in "ab":
        interface(azure, name, net)
    azure.delete(INTERFACE, "urn", _id("a"), {})
    assert _address(update(azure, "b", net)) == SECOND
    assert _address(update(azure, "b", net, static=SECOND)) == SECOND
    assert _address(update(azure, "b", net)) == SECOND


def test_a_subnet_has_an_end(azure: AzureNative) -> None:
    group(azure)
    small = subnet(azure, "10.60.1.0/29")
    assert [interface(azure, name, small) for name in "abc"] == ["10.60.1.4", "10.60.1.5", "10.60.1.6"]
    with pytest.raises(Failure, match=r"SubnetIsFull.*does not have enough capacity for 1 IP addresses"):
        interface(azure, "d", small)


@pytest.mark.parametrize("held_as", ["static", "dynamic"])
def test_an_address_that_another_interface_holds_is_refused(azure: AzureNative, net: str, held_as: str) -> None:
    interface(azure, "a", net, FIRST if held_as == "static" else None)
    with pytest.raises(Failure) as refused:
        interface(azure, "b", net, FIRST)
    assert 'Status=400 Code="PrivateIPAddressIsAllocated"' in str(refused.value)
    assert (
        f'Message="IP configuration {_id("b")}/ipConfigurations/main is using the private IP address 10.60.0.4 which is'
        f' already allocated to resource {_id("a")}/ipConfigurations/main."'
    ) in str(refused.value)
    assert _id("b") not in _records()


def test_an_address_whose_holder_has_not_yet_given_it_up_is_refused_in_an_update_too(
    azure: AzureNative, net: str
) -> None:
    """Two that exchange their addresses, or one that moves up before the last has gone."""
    interface(azure, "a", net, FIRST)
    interface(azure, "b", net, SECOND)
    with pytest.raises(Failure, match="PrivateIPAddressIsAllocated"):
        update(azure, "b", net, FIRST)
    assert _address(_records()[_id("b")]["outputs"]) == SECOND
    azure.delete(INTERFACE, "urn", _id("a"), {})
    with pytest.raises(Failure, match=r"the sandbox cannot change ipConfigurations\[0\].privateIPAddress"):
        update(azure, "b", net, FIRST)


def test_the_same_address_in_another_network_is_another_address(azure: AzureNative, net: str) -> None:
    other = subnet(azure, "10.60.0.0/25")
    assert (interface(azure, "a", net, FIRST), interface(azure, "b", other, FIRST)) == (FIRST, FIRST)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.60.1.4", "PrivateIPAddressNotInSubnet"),
        ("10.60.0.3", "PrivateIPAddressInReservedRange"),
        ("10.60.0.255", "PrivateIPAddressInReservedRange"),
    ],
)
def test_an_address_that_nobody_can_have_is_refused(azure: AzureNative, net: str, address: str, code: str) -> None:
    with pytest.raises(Failure, match=f'Status=400 Code="{code}"'):
        interface(azure, "a", net, address)


def test_a_previewed_interface_does_not_tell_its_address(azure: AzureNative, net: str) -> None:
    """The real provider knows name and location of what it updates, and of the rest only what it has been given."""
    inputs = interface_inputs("a", net)
    _, state = make(azure, INTERFACE, **inputs)
    previewed = azure.preview(INTERFACE, state, {**inputs, "tags": {"team": "ml"}})
    assert _address(previewed) == UNKNOWN
    assert (previewed["name"], "type" in previewed) == ("a", False)
    assert "vmId" not in azure.preview(MACHINE, {"vmId": "v", "name": "m"}, {})


def test_a_refresh_does_not_take_the_chosen_address_for_a_change(azure: AzureNative, net: str) -> None:
    inputs = interface_inputs("a", net)
    made, state = make(azure, INTERFACE, **inputs)
    assert azure.read(INTERFACE, made, state, inputs) == (made, state, inputs)


def rules(**prefixes: object) -> dict[str, Any]:
    rule = {"name": "ssh", "access": "Allow", "direction": "Inbound", "priority": 100, "protocol": "Tcp", **prefixes}
    return {"resourceGroupName": "rg", "networkSecurityGroupName": "g", "location": "w", "securityRules": [rule]}


@pytest.mark.parametrize(
    ("prefixes", "words"),
    [
        (
            {"sourceAddressPrefixes": ["149.173.0.0/16", "149.173.8.27/32"]},
            "SourceAddressPrefix for rule with Id RULE contains overlapping subnets [149.173.0.0/16, 149.173.8.27/32]",
        ),
        (
            {"sourceAddressPrefix": "*", "destinationAddressPrefixes": ["10.60.0.4", "10.60.0.4"]},
            "DestinationAddressPrefix for rule with Id RULE contains overlapping subnets [10.60.0.4/32, 10.60.0.4/32]",
        ),
    ],
)
def test_networks_of_a_rule_that_overlap_or_repeat_are_refused(
    azure: AzureNative, prefixes: dict[str, object], words: str
) -> None:
    group(azure)
    with pytest.raises(Failure) as refused:
        make(azure, RULES, **rules(**prefixes))
    assert 'Status=400 Code="OverlappingSubnetsNotPermittedInSecurityRule"' in str(refused.value)
    assert words.replace("RULE", f"{_group()}/securityRules/ssh") in str(refused.value)


@pytest.mark.parametrize(
    "prefixes",
    [
        {"sourceAddressPrefixes": ["203.0.113.0/24", "2001:db8::/32"]},
        {"sourceAddressPrefix": "203.0.113.0/24", "destinationAddressPrefix": "2001:db8::/32"},
    ],
)
def test_two_address_families_in_one_rule_are_refused(azure: AzureNative, prefixes: dict[str, object]) -> None:
    group(azure)
    with pytest.raises(Failure) as refused:
        make(azure, RULES, **rules(**prefixes))
    assert 'Code="ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"' in str(refused.value)
    assert f'Message="Resource {_group()}/securityRules/ssh contains IP addresses or prefixes' in str(refused.value)


def test_rules_are_held_against_the_same_when_they_change(azure: AzureNative) -> None:
    group(azure)
    make(azure, RULES, **rules(sourceAddressPrefixes=["203.0.113.7/32", "198.51.100.0/24"]))
    with pytest.raises(Failure, match="OverlappingSubnetsNotPermittedInSecurityRule"):
        azure.update(RULES, "urn", {}, rules(sourceAddressPrefixes=["203.0.113.7/32", "203.0.113.0/24"]), 0)


LIVING: dict[str, Any] = {
    "osProfile": {
        "customData": "b2xk",
        "computerName": "m",
        "adminUsername": "azureuser",
        "linuxConfiguration": {"ssh": {"publicKeys": [{"keyData": "ssh-ed25519 AAAA"}]}},
    },
    "storageProfile": {
        "imageReference": {"sku": "server"},
        "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Premium_LRS"}},
    },
    "securityProfile": {"securityType": "TrustedLaunch"},
    "priority": "Spot",
    "evictionPolicy": "Deallocate",
    "billingProfile": {"maxPrice": -1},
    "zones": ["1"],
    "tags": {"team": "a"},
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The inputs of a living machine with another value at a path; None takes it away."""
    inputs: dict[str, Any] = json.loads(json.dumps(LIVING))
    *above, last = path.split(".")
    place: Any = inputs
    for part in above:
        place = place[int(part) if part.isdigit() else part]
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return inputs


@pytest.mark.parametrize(
    ("path", "value", "target"),
    [
        ("osProfile.customData", "bmV3", "customData"),
        ("osProfile.customData", None, "customData"),
        ("osProfile.computerName", "n", "computerName"),
        ("osProfile.adminUsername", "ops", "adminUsername"),
        (
            "osProfile.linuxConfiguration.ssh.publicKeys.0.keyData",
            "ssh-ed25519 BBBB",
            "linuxConfiguration.ssh.publicKeys",
        ),
        ("storageProfile.imageReference.sku", "minimal", "imageReference"),
        ("storageProfile.osDisk.createOption", "Attach", "osDisk.createOption"),
        (
            "storageProfile.osDisk.managedDisk.storageAccountType",
            "StandardSSD_LRS",
            "osDisk.managedDisk.storageAccountType",
        ),
        ("securityProfile.securityType", "Standard", "securityProfile"),
        ("securityProfile", None, "securityProfile"),
        ("priority", "Regular", "priority"),
        ("evictionPolicy", "Delete", "evictionPolicy"),
        ("billingProfile.maxPrice", 2.5, "billingProfile"),
        ("zones.0", "2", "zones"),
        ("zones", None, "zones"),
    ],
)
def test_what_a_living_machine_cannot_change_is_planned_as_an_update_and_refused_with_409(
    azure: AzureNative, path: str, value: object, target: str
) -> None:
    assert azure.replaces(MACHINE, path) is False
    with pytest.raises(Failure) as refused:
        arm.require_changeable({"id": {"inputs": LIVING}}, "compute:VirtualMachine", "id", changed(path, value))
    assert str(refused.value) == (
        f'Status=409 Code="PropertyChangeNotAllowed" Message="Changing property \'{target}\' is not allowed."'
        f' Target="{target}"'
    )


def test_tags_can_be_changed() -> None:
    arm.require_changeable({"id": {"inputs": LIVING}}, "compute:VirtualMachine", "id", changed("tags.team", "b"))


def test_the_disk_of_a_running_machine_has_its_size() -> None:
    larger = changed("storageProfile.osDisk.diskSizeGB", 512)
    with pytest.raises(Failure, match=r'Status=409 Code="OperationNotAllowed" Message="Cannot resize disk'):
        arm.require_changeable({"id": {"inputs": LIVING}}, "compute:VirtualMachine", "id", larger)


@pytest.mark.parametrize(
    ("before", "after", "seen"), [(["1"], ["2"], "1"), (None, ["2"], "NoZone"), (["1"], None, "1")]
)
def test_a_public_address_stays_in_its_zone(
    azure: AzureNative, before: list[str] | None, after: list[str] | None, seen: str
) -> None:
    group(azure)
    inputs = {"resourceGroupName": "rg", "location": "westeurope", "publicIpAddressName": "ip"}
    inputs |= {"sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"}
    zones = {"zones": before} if before else {}
    make(azure, ADDRESS, **inputs, **zones)
    with pytest.raises(Failure) as refused:
        azure.update(ADDRESS, "urn", {}, {**inputs, **({"zones": after} if after else {})}, 0)
    assert 'Status=400 Code="ResourceAvailabilityZonesCannotBeModified"' in str(refused.value)
    assert f"has an existing availability zone constraint {seen} and the request has" in str(refused.value)


def test_a_subnet_that_interfaces_are_in_keeps_its_prefix(azure: AzureNative, net: str) -> None:
    inputs = {**_records()[net]["inputs"], "addressPrefix": "10.60.8.0/24"}
    interface(azure, "a", net)
    with pytest.raises(
        Failure, match=r'Code="InUsePrefixCannotBeDeleted" Message="IpPrefix 10.60.0.0/24 on Subnet mac'
    ):
        azure.update(SUBNET, "urn", {}, inputs, 0)
    azure.delete(INTERFACE, "urn", _id("a"), {})
    assert azure.update(SUBNET, "urn", {}, inputs, 0)["addressPrefix"] == "10.60.8.0/24"


def _address(state: dict[str, Any]) -> str:
    return str(state["ipConfigurations"][0]["privateIPAddress"])


def _id(name: str) -> str:
    return arm.identifier("network:NetworkInterface", {"resourceGroupName": "rg", "networkInterfaceName": name})


def _group() -> str:
    inputs = {"resourceGroupName": "rg", "networkSecurityGroupName": "g"}
    return arm.identifier("network:NetworkSecurityGroup", inputs)


def _records() -> dict[str, Any]:
    records: dict[str, Any] = json.loads((Sandbox.from_environment().root / "azure.json").read_text())
    return records


def test_a_load_balancer_and_its_address_are_of_one_sku(azure: AzureNative, net: str) -> None:
    public, _ = address(azure, "api-ip")
    inputs = balancer_inputs(public, sku="Basic", virtualNetwork={"id": net.partition("/subnets/")[0]})
    with pytest.raises(Failure, match="LoadBalancerAndPublicIpAddressSkuMismatch"):
        make(azure, BALANCER, **inputs)


def test_an_address_behind_a_load_balancer_is_of_a_network(azure: AzureNative) -> None:
    group(azure)
    public, _ = address(azure, "api-ip")
    with pytest.raises(Failure, match="BackendAddressVirtualNetworkMissing"):
        make(azure, BALANCER, **balancer_inputs(public))


@pytest.mark.parametrize("part", ["frontendIPConfiguration", "backendAddressPool", "probe"])
def test_a_rule_of_a_load_balancer_refers_to_parts_that_it_has(azure: AzureNative, net: str, part: str) -> None:
    public, _ = address(azure, "api-ip")
    inputs = balancer_inputs(public, virtualNetwork={"id": net.partition("/subnets/")[0]})
    inputs["loadBalancingRules"][0][part]["id"] += "-2"
    with pytest.raises(Failure, match=r"InvalidResourceReference.*/api-2|InvalidResourceReference.*/servers-2"):
        make(azure, BALANCER, **inputs)
