"""IP networks: who may come in, and where machines, pods and services live."""

import ipaddress
from collections.abc import Sequence

from plan.problems import Refusal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WIDEST = 2**24
"""All adminCidrs together reach no further than one /8."""

_MY_ADDRESS = "Your own address: curl -s https://ifconfig.me, then that address with /32."


_NOT_OURS = {
    "127.0.0.0/8": "every machine's own loopback",
    "169.254.0.0/16": "link-local; Azure's metadata service is there",
    "168.63.129.16/32": "Azure's own DNS and health probes",
    "224.0.0.0/3": "multicast and reserved",
    "0.0.0.0/8": "no network at all",
}
"""Ranges no virtual network, pod or service can have (Azure's FAQ on virtual networks)."""


def admin_network(text: str) -> str:
    """A network that may reach SSH and the Kubernetes API, in canonical form."""
    if text.strip().lower() in {"*", "any", "internet"}:
        raise Refusal(
            "opens SSH and the Kubernetes API to the whole internet",
            allowed="the networks of the people and CI machines that work with the stack",
            remedy=_MY_ADDRESS,
        )
    found = network(text)
    if found.version != 4:
        raise Refusal(
            "is IPv6: the machines have IPv4 addresses only, and Azure takes one family in a rule",
            allowed="IPv4 networks",
            remedy="Your own IPv4 address: curl -4 -s https://ifconfig.me, then that address with /32.",
        )
    return str(found)


def merged(cidrs: Sequence[str]) -> tuple[str, ...]:
    """The same addresses in as few networks as can be: Azure refuses a rule whose networks overlap or repeat.

    Networks that are few enough keep their order, so that a rule changes only where it must.
    """
    few = tuple(map(str, ipaddress.collapse_addresses(map(ipaddress.IPv4Network, cidrs))))
    return few if len(few) < len(cidrs) else tuple(cidrs)


def network(text: str) -> Network:
    """The network written as `text`; host bits must be zero."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_interface(text).network
    except ValueError:
        raise Refusal(
            "not an IP network", allowed="an address and a prefix length: 203.0.113.7/32, 10.60.0.0/16"
        ) from None
    raise Refusal("has bits set to the right of its prefix", remedy=f"Write {meant}, or a longer prefix.")


def ipv4_network(text: str) -> str:
    """An IPv4 network in canonical form."""
    found = network(text)
    if found.version != 4:
        raise Refusal("is IPv6; machines, pods and services are IPv4", allowed="an IPv4 network such as 10.60.0.0/16")
    for reserved, owner in _NOT_OURS.items():
        if ipaddress.ip_network(reserved).overlaps(found):
            raise Refusal(f"holds {reserved}, {owner}", allowed="a private network such as 10.60.0.0/16")
    return str(found)


def open_to_the_world(cidrs: Sequence[str]) -> Refusal | None:
    """Whether the networks, in one piece or in several, let in more than an organisation."""
    reach = sum(ipaddress.IPv4Network(cidr).num_addresses for cidr in merged(cidrs))
    if reach <= WIDEST:
        return None
    return Refusal(
        f"these networks together let in {reach / 2**32:.1%} of all IPv4 addresses to SSH and the Kubernetes API",
        allowed="together at most one /8",
        remedy=_MY_ADDRESS,
    )
