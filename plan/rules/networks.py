"""Networks together: not open to the world, inside each other where they must be, apart where they must be."""

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from plan.problems import Problem, Refusal
from plan.stack_file.settings import Settings
from plan.stack_file.values.addresses import open_to_the_world

_KEEPS = 5
"""Addresses of each subnet that Azure keeps: the first four and the last."""


def open_networks(settings: Settings) -> Iterator[Problem]:
    """adminCidrs that let in the world, in one piece or in several."""
    found = open_to_the_world(settings.admin_cidrs)
    if found is not None:
        yield found.at("mig-k8s:adminCidrs", f"[{', '.join(settings.admin_cidrs)}]")


def overlapping_networks(settings: Settings) -> Iterator[Problem]:
    """A subnet outside its network; machines, pods and services that share addresses."""
    written = settings.network
    names = {
        "cidr": ipaddress.IPv4Network(written.cidr),
        "podCidr": ipaddress.IPv4Network(written.pod_cidr),
        "serviceCidr": ipaddress.IPv4Network(written.service_cidr),
    }
    subnet = ipaddress.IPv4Network(written.subnet_cidr)
    if not subnet.subnet_of(names["cidr"]):
        yield Refusal(f"not inside network.cidr ({names['cidr']})", allowed=f"a part of {names['cidr']}").at(
            "mig-k8s:network.subnetCidr", str(subnet)
        )
    for (first, one), (second, other) in combinations(names.items(), 2):
        if one.overlaps(other):
            yield Refusal(
                f"overlaps network.{first} ({one}); addresses there would never arrive",
                remedy="Choose ranges apart, such as 10.60.0.0/16, 10.42.0.0/16 and 10.43.0.0/16.",
            ).at(f"mig-k8s:network.{second}", str(other))


def networks_too_small(settings: Settings) -> Iterator[Problem]:
    """A subnet without an address for every machine; pod and service ranges that Kubernetes refuses or outgrows."""
    machines = settings.machine_count
    written = settings.network
    subnet, pods, services = map(ipaddress.IPv4Network, (written.subnet_cidr, written.pod_cidr, written.service_cidr))
    room = subnet.num_addresses - _KEEPS
    if subnet.prefixlen > 29 or room < machines:
        what = f"holds {max(room, 0)} machines (Azure keeps {_KEEPS} addresses); the stack has {machines}"
        prefix = min(29, 32 - (machines + _KEEPS - 1).bit_length())
        yield Refusal(
            what, allowed=f"/{prefix} or wider", remedy=f"Write {subnet.network_address}/{prefix} or wider."
        ).at("mig-k8s:network.subnetCidr", str(subnet))
    if pods.prefixlen > 24 or 2 ** (24 - pods.prefixlen) < machines:
        yield Refusal(
            f"every machine takes a /24 of it for its pods; the stack has {machines} machines",
            allowed=f"/{24 - (machines - 1).bit_length()} or wider",
        ).at("mig-k8s:network.podCidr", str(pods))
    if not 12 <= services.prefixlen <= 24:
        yield Refusal("Kubernetes takes service ranges of limited size", allowed="/12 to /24").at(
            "mig-k8s:network.serviceCidr", str(services)
        )
