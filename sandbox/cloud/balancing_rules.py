"""Load balancers as Azure reads them: which address and port go to which machines, and what Azure refuses of one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sandbox.cloud import security_rules
from sandbox.cloud.arm import Records
from sandbox.cloud.private_addresses import INTERFACE
from sandbox.instance import Sandbox
from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties

LOAD_BALANCER = "network:LoadBalancer"
_INNER = ("frontendIPConfigurations", "backendAddressPools", "probes", "loadBalancingRules")
"""Inputs whose entries have ARM ids of their own, below the load balancer's."""


class LoadBalancers(Protocol):
    """What carries the connections: `sandbox.cloud.load_balancer`."""

    def start(self, sandbox: Sandbox, balancer: str) -> None:
        """Carry connections by the rules that the cloud has of it, as they change. Raises SandboxError."""

    def stop(self, sandbox: Sandbox, balancer: str) -> None:
        """End that. It is fine if nothing carries them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """How a load balancer finds out which machines answer: by a TCP connection at regular intervals."""

    port: int
    seconds: int
    failures: int
    """That many in a row take a machine out; one success brings it back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forwarding:
    """One rule. `backends` are addresses by which the sandbox reaches the machines; those no probe may ask are left
    out, for Azure never counts them as healthy.
    """

    address: str
    port: int
    backends: tuple[str, ...]
    backend_port: int
    probe: Probe


def own_parts(balancer: str, inputs: Properties) -> set[str]:
    """The ARM ids of what a load balancer itself has, which its inputs may refer to."""
    return set(_parts(balancer, inputs))


def _parts(balancer: str, inputs: Properties) -> dict[str, Properties]:
    return {f"{balancer}/{part}/{each['name']}": each for part in _INNER for each in inputs.get(part) or ()}


def require_possible_balancer(records: Records, balancer: str, inputs: Properties) -> None:
    """Refuse what Azure refuses of a load balancer. Raises Failure."""
    sku = (inputs.get("sku") or {}).get("name") or "Basic"
    for frontend in inputs.get("frontendIPConfigurations") or ():
        address = (frontend.get("publicIPAddress") or {}).get("id")
        if address is None:
            raise Failure(f"the sandbox does not stand in for {balancer}: its frontend has no public address")
        public_sku = (records[address]["inputs"].get("sku") or {}).get("name") or "Basic"
        if public_sku != sku:
            raise Failure(
                'Status=400 Code="LoadBalancerAndPublicIpAddressSkuMismatch" Message="Standard sku load balancer'
                f' {balancer} cannot reference Basic sku publicIP {address}, nor the other way round."'
            )
    for rule in inputs.get("loadBalancingRules") or ():
        if not (rule.get("probe") or {}).get("id"):
            raise Failure(f"the sandbox does not stand in for {balancer}: rule {rule['name']} has no probe")
    for pool in inputs.get("backendAddressPools") or ():
        for backend in pool.get("loadBalancerBackendAddresses") or ():
            if sku != "Standard":
                raise Failure(
                    'Status=400 Code="LoadBalancerBackendAddressPoolWithIPsNotSupportedForBasicSku" Message="Backend'
                    f' pool {pool["name"]} has IP addresses, which needs a load balancer of Standard sku."'
                )
            if not (backend.get("virtualNetwork") or {}).get("id"):
                raise Failure(
                    'Status=400 Code="BackendAddressVirtualNetworkMissing" Message="Backend address'
                    f' {backend.get("name")} has an IP address and no virtual network."'
                )


def forwardings(records: Records, balancer: str) -> Iterator[Forwarding]:
    """Every rule of a load balancer; none once it is gone."""
    inputs = records[balancer]["inputs"] if balancer in records else {}
    parts = _parts(balancer, inputs)
    for rule in inputs.get("loadBalancingRules") or ():
        frontend = parts[rule["frontendIPConfiguration"]["id"]]
        probe = parts[rule["probe"]["id"]]
        pool = parts[rule["backendAddressPool"]["id"]]
        backends = [backend["ipAddress"] for backend in pool.get("loadBalancerBackendAddresses") or ()]
        yield Forwarding(
            address=records[frontend["publicIPAddress"]["id"]]["outputs"]["ipAddress"],
            port=int(rule["frontendPort"]),
            backends=tuple(_reached_by(records, backends, int(probe["port"]))),
            backend_port=int(rule["backendPort"]),
            probe=Probe(
                port=int(probe["port"]),
                seconds=int(probe.get("intervalInSeconds") or 15),
                failures=int(probe.get("probeThreshold") or probe.get("numberOfProbes") or 1),
            ),
        )


def _reached_by(records: Records, private_addresses: list[str], probe_port: int) -> Iterator[str]:
    """The public addresses of those machines whose security group lets the load balancer's probe in."""
    for record in records.values():
        for setting in record["outputs"].get("ipConfigurations") or () if record["kind"] == INTERFACE else ():
            public = (setting.get("publicIPAddress") or {}).get("id")
            if setting["privateIPAddress"] not in private_addresses or public not in records:
                continue
            group = (records[setting["subnet"]["id"]]["inputs"].get("networkSecurityGroup") or {}).get("id")
            rules = records[group]["inputs"].get("securityRules") or () if group else ()
            if security_rules.lets_probe_in(rules, probe_port):
                yield records[public]["outputs"]["ipAddress"]


def name_of(balancer: str) -> str:
    """The last part of its ARM id, as a name of a directory."""
    return re.sub(r"[^A-Za-z0-9-]", "-", balancer.rsplit("/", 1)[-1])
