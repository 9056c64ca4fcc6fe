"""IP networks: who may come in, and where machines, pods and services live."""

import ipaddress
from collections.abc import Iterable

from plan.problems import Refusal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WIDEST_IPV4 = 2**24
"""All adminCidrs together reach no further than one IPv4 /8."""
WIDEST_IPV6 = 2**96
"""All adminCidrs together reach no further than one IPv6 /32, what a provider is given."""

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
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped:
        raise Refusal("is IPv4 in the clothes of IPv6, which matches nothing", remedy="Write it as an IPv4 network.")
    return str(found)


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
            "not an IP network", allowed="an address and a prefix length: 203.0.113.7/32, 10.60.0.0/16, 2001:db8::/64"
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


def open_to_the_world(cidrs: Iterable[str]) -> Refusal | None:
    """Whether the networks, in one piece or in several, let in more than an organisation."""
    reach = {4: 0, 6: 0}
    for cidr in _collapsed(cidrs):
        reach[cidr.version] += cidr.num_addresses
    if reach[4] <= WIDEST_IPV4 and reach[6] <= WIDEST_IPV6:
        return None
    version, share = (4, reach[4] / 2**32) if reach[4] > WIDEST_IPV4 else (6, reach[6] / 2**128)
    return Refusal(
        f"these networks together let in {share:.1%} of all IPv{version} addresses to SSH and the Kubernetes API",
        allowed="together at most one IPv4 /8 and one IPv6 /32",
        remedy=_MY_ADDRESS,
    )


def _collapsed(cidrs: Iterable[str]) -> Iterable[Network]:
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    yield from ipaddress.collapse_addresses(found for found in networks if isinstance(found, ipaddress.IPv4Network))
    yield from ipaddress.collapse_addresses(found for found in networks if isinstance(found, ipaddress.IPv6Network))
