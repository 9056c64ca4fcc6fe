"""When the certificates end that the nodes show: each kubelet has one, and each API server.

RKE2 makes those of a machine together, for a year, and makes them anew when it starts, from 120 days before their end
on (90 days in releases before May 2025). So one that ends sooner is on a machine whose RKE2 has run for long.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from machine.host.this_machine import ThisMachine
from machine.verification.shown_certificate import API_SERVER, KUBELET, days_until, shown_end

WARNING_DAYS = 60
_SERVER = "node-role.kubernetes.io/control-plane"
_PORTS = {"kubelet": KUBELET, "API server": API_SERVER}


def ending(
    machine: ThisMachine, nodes: Mapping[str, Mapping[str, Any]], ports: Mapping[str, int] = _PORTS
) -> list[str]:
    """A sentence on each certificate of these nodes that has ended or will soon. `nodes`: their objects by their names.

    Nothing is said of a node that does not answer: other checks do.
    """
    return [
        f"the certificate of the {what} on {name} {said}"
        for name, node in nodes.items()
        for what, port in ports.items()
        if what == "kubelet" or _has_api_server(node)
        for address in _addresses(node)
        for said in _said(machine, shown_end(machine, address, port))
    ]


def _addresses(node: Mapping[str, Any]) -> list[str]:
    return [each["address"] for each in node["status"].get("addresses", ()) if each["type"] == "InternalIP"][:1]


def _has_api_server(node: Mapping[str, Any]) -> bool:
    return _SERVER in node["metadata"].get("labels", {})


def _said(machine: ThisMachine, end: datetime | None) -> Iterator[str]:
    days = WARNING_DAYS if end is None else days_until(machine, end)
    if end is not None and days < WARNING_DAYS:
        when = "has ended" if days < 0 else f"ends on {end:%Y-%m-%d}, in {days} days"
        yield f"{when}. `make rotate-certificates NAME=STACK` has RKE2 make all of them anew, pods go on"
