"""Three servers have one address, which belongs to no single machine; fewer servers have none."""

from typing import Any

import pytest
import yaml

from recording import Graph
from stacks import Program

GPU = {"name": "gpu", "role": "agent", "vmSize": "Standard_NC24ads_A100_v4", "migDevices": {"1g.10gb": 7}}


def servers(count: int) -> list[dict[str, Any]]:
    return [{"name": "server", "role": "server", "vmSize": "Standard_D4s_v5", "count": count}, GPU]


def stack(program: Program, count: int) -> Graph:
    return program(nodePools=servers(count), mig={"strategy": "single"})


@pytest.fixture
def three(program: Program) -> Graph:
    return stack(program, 3)


def address_of(graph: Graph, name: str) -> str:
    value = graph.exports["addresses"].value[name]
    assert isinstance(value, str)
    return value


def test_a_server_that_is_alone_has_no_load_balancer(program: Program) -> None:
    graph = stack(program, 1)
    assert graph.of("LoadBalancer") == []
    cluster = yaml.safe_load(graph.exports["kubeconfig"].value)["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://{address_of(graph, 'server')}:6443"
    assert "tls-server-name" not in cluster


def test_three_servers_share_the_api_and_ssh_and_an_agent_is_not_among_them(three: Graph) -> None:
    balancer = three.one("api-lb")
    assert balancer.plain("sku", "name") == "Standard"
    (pool,) = balancer.plain("backendAddressPools")
    backends = {each["name"]: each["ipAddress"] for each in pool["loadBalancerBackendAddresses"]}
    private = three.exports["privateAddresses"].value
    assert backends == {name: private[name] for name in ("server", "server-1", "server-2")}
    assert all(each["virtualNetwork"] == {"id": "/ids/network-vnet"} for each in pool["loadBalancerBackendAddresses"])
    rules = {rule["name"]: (rule["frontendPort"], rule["backendPort"]) for rule in balancer.plain("loadBalancingRules")}
    assert rules == {"kubernetes-api": (6443, 6443), "ssh": (22, 22)}


def test_a_server_counts_as_alive_when_its_api_answers(three: Graph) -> None:
    balancer = three.one("api-lb")
    (probe,) = balancer.plain("probes")
    assert (probe["protocol"], probe["port"]) == ("Tcp", 6443)
    named = f"/ids/mig-k8s-test/providers/Microsoft.Network/loadBalancers/api/probes/{probe['name']}"
    assert {rule["probe"]["id"] for rule in balancer.plain("loadBalancingRules")} == {named}


def test_the_probe_comes_in_before_everything_else_is_refused(three: Graph) -> None:
    (group,) = three.of("NetworkSecurityGroup")
    rules = {rule["name"]: rule for rule in group.plain("securityRules")}
    probes = rules["load-balancer-probes"]
    assert (probes["sourceAddressPrefix"], probes["destinationPortRange"]) == ("AzureLoadBalancer", "6443")
    assert (probes["access"], probes["direction"], probes["protocol"]) == ("Allow", "Inbound", "Tcp")
    assert probes["priority"] < rules["deny-all"]["priority"]


def test_the_kubeconfig_names_the_one_address_and_holds_certificates_to_a_name_that_all_have(three: Graph) -> None:
    cluster = yaml.safe_load(three.exports["kubeconfig"].value)["clusters"][0]["cluster"]
    own = set(three.exports["addresses"].value.values())
    assert cluster["tls-server-name"] == "kubernetes"
    assert cluster["certificate-authority-data"] == "Q0E="
    address = cluster["server"].removeprefix("https://").removesuffix(":6443")
    assert address
    assert address not in own


def test_what_concerns_the_cluster_is_run_on_whichever_server_lives(three: Graph) -> None:
    own = set(three.exports["addresses"].value.values())
    for name in ("cluster-kubeconfig", "verification-run"):
        command = three.one(name)
        assert command.plain("connection", "host") not in own
        assert three.waits_for(command, three.one("api-lb")), "nobody answers there before"


def test_the_third_server_changes_nothing_of_the_machines_that_are_there(program: Program, three: Graph) -> None:
    before = stack(program, 1)
    for name in ("server-nic", "server-vm", "server-ip", "gpu-nic", "gpu-vm"):
        assert three.one(name).plain() == before.one(name).plain()
    for name in ("server-converge", "gpu-converge"):  # whose other addresses to join by are ignored once it is there
        assert three.one(name).plain() | {"create": ""} == before.one(name).plain() | {"create": ""}
    assert three.one("cluster-kubernetes").plain("clusterIdentifier") == "vm_id of server-vm"
