"""What Azure refuses of a security rule's address prefixes, and whom rules let in."""

import ipaddress
from collections.abc import Iterable
from itertools import combinations

from sandbox.providers.resource_provider import Failure
from sandbox.providers.values import Properties


def require_prefixes(group: str, inputs: Properties) -> None:
    """Refuse rules of a security group whose networks overlap, repeat, or are of two address families."""
    for rule in inputs.get("securityRules") or ():
        identifier = f"{group}/securityRules/{rule.get('name')}"
        sides = {side: _networks(rule, side) for side in ("source", "destination")}
        if len({network.version for networks in sides.values() for network in networks}) > 1:
            raise Failure(
                'Status=400 Code="ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies"'
                f' Message="Resource {identifier} contains IP addresses or prefixes that belong to different address'
                ' families. All IP addresses or prefixes in the resource should belong to the same address family."'
            )
        for side, networks in sides.items():
            for one, other in combinations(networks, 2):
                if one.overlaps(other):
                    raise Failure(
                        'Status=400 Code="OverlappingSubnetsNotPermittedInSecurityRule" Message="Security rule'
                        f" parameter {side.capitalize()}AddressPrefix for rule with Id {identifier} contains"
                        f' overlapping subnets [{one}, {other}], which is not permitted."'
                    )


def _networks(rule: Properties, side: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks on one side of a rule; `*` and service tags, which begin with a letter, are none."""
    written = [rule.get(f"{side}AddressPrefix"), *(rule.get(f"{side}AddressPrefixes") or ())]
    return [ipaddress.ip_network(each) for each in written if each and (each[0].isdigit() or ":" in each)]


def lets_probe_in(rules: Iterable[Properties], port: int) -> bool:
    """Whether a load balancer's health probe comes to this TCP port of a machine behind these rules.

    The first rule that fits decides; after all of them Azure's own lets the load balancer in.
    """
    for rule in sorted(rules, key=lambda rule: int(rule["priority"])):
        sources = [rule.get("sourceAddressPrefix"), *(rule.get("sourceAddressPrefixes") or ())]
        ports = [rule.get("destinationPortRange"), *(rule.get("destinationPortRanges") or ())]
        if (
            rule["direction"] == "Inbound"
            and rule["protocol"] in ("Tcp", "*")
            and {"AzureLoadBalancer", "*"} & set(sources)
            and any(_has_port(each, port) for each in ports if each)
        ):
            return bool(rule["access"] == "Allow")
    return True


def _has_port(written: str, port: int) -> bool:
    first, _, last = written.partition("-")
    return written == "*" or int(first) <= port <= int(last or first)
