"""Which network rules let in whom, and to what."""

from typing import Any

from recording import Graph
from stacks import CLUSTER, Program


def inbound(graph: Graph) -> list[dict[str, Any]]:
    (group,) = graph.of("NetworkSecurityGroup")
    return [rule for rule in group.plain("securityRules") if rule["direction"] == "Inbound"]


def test_only_administrators_come_in_and_only_at_ssh_and_the_kubernetes_api(program: Program) -> None:
    graph = program(adminCidrs=["203.0.113.7/32", "198.51.100.0/24"])
    rules = inbound(graph)
    assert [rule["name"] for rule in rules] == ["ssh", "kubernetes-api", "machines", "load-balancer-probes", "deny-all"]
    ssh, kubernetes_api, machines, probes, _ = rules
    assert (ssh["destinationPortRange"], ssh["protocol"]) == ("22", "Tcp")
    assert (kubernetes_api["destinationPortRange"], kubernetes_api["protocol"]) == ("6443", "Tcp")
    assert (machines["sourceAddressPrefix"], machines["destinationAddressPrefix"]) == ("10.60.0.0/24", "10.60.0.0/24")
    assert (probes["sourceAddressPrefix"], probes["destinationPortRange"]) == ("AzureLoadBalancer", "6443")
    for rule in (ssh, kubernetes_api):
        assert rule["sourceAddressPrefixes"] == ["203.0.113.7/32", "198.51.100.0/24"]
        assert "sourceAddressPrefix" not in rule
        assert "destinationPortRanges" not in rule


def test_networks_of_administrators_that_overlap_or_repeat_are_one_in_the_rules(program: Program) -> None:
    """Azure refuses a rule with such: OverlappingSubnetsNotPermittedInSecurityRule."""
    graph = program(adminCidrs=["203.0.113.7/32", "198.51.100.0/24", "203.0.113.0/24", "198.51.100.0/24"])
    for rule in inbound(graph)[:2]:
        assert rule["sourceAddressPrefixes"] == ["198.51.100.0/24", "203.0.113.0/24"], rule["name"]


def test_everything_else_is_refused_before_azures_own_rules_are_asked(program: Program) -> None:
    rules = inbound(program())
    last = max(rules, key=lambda rule: rule["priority"])
    assert (last["priority"], last["access"], last["protocol"]) == (4096, "Deny", "*")
    assert (last["sourceAddressPrefix"], last["destinationPortRange"]) == ("*", "*")
    assert len({rule["priority"] for rule in rules}) == len(rules)


def test_the_rules_are_the_same_whatever_machines_there_are(program: Program) -> None:
    """They are changed before machines leave, and those talk to each other until they have left."""
    assert inbound(program(nodePools=CLUSTER, mig={"strategy": "single"})) == inbound(program())


def test_the_machines_of_a_cluster_reach_each_other_and_nobody_else_more(program: Program) -> None:
    rules = inbound(program(nodePools=CLUSTER, mig={"strategy": "single"}))
    (between,) = [rule for rule in rules if rule["name"] == "machines"]
    assert (between["sourceAddressPrefix"], between["destinationAddressPrefix"]) == ("10.60.0.0/24", "10.60.0.0/24")
    assert "sourceAddressPrefixes" not in between
    assert "destinationAddressPrefixes" not in between
    assert [rule["name"] for rule in rules] == ["ssh", "kubernetes-api", "machines", "load-balancer-probes", "deny-all"]


def test_the_subnet_has_the_security_group_and_no_way_out_of_its_own(program: Program) -> None:
    graph = program()
    (subnet,) = graph.of("Subnet")
    assert subnet.plain("networkSecurityGroup", "id") == "/ids/network-nsg"
    assert subnet.plain("defaultOutboundAccess") is False
    assert subnet.plain("addressPrefix") == "10.60.0.0/24"
    (network,) = graph.of("VirtualNetwork")
    assert network.plain("addressSpace", "addressPrefixes") == ["10.60.0.0/16"]
    assert "subnets" not in network.inputs, "subnets in two places overwrite each other"
