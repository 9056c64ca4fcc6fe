"""When the certificates end that the nodes show: each kubelet has one, and each API server.

RKE2 makes those of a machine together, for a year, and makes them anew when it starts, from 120 days before their end
on (90 days in releases before May 2025). So one that ends sooner is on a machine whose RKE2 has run for long.
"""

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from machine.host.this_machine import ThisMachine
from machine.kubernetes.server_token import AUTHORITY

WARNING_DAYS = 60
_SERVER = "node-role.kubernetes.io/control-plane"
_PORTS = {"kubelet": 10250, "API server": 6443}
_SECONDS = 5


def ending(
    machine: ThisMachine, nodes: Mapping[str, Mapping[str, Any]], ports: Mapping[str, int] = _PORTS
) -> list[str]:
    """A sentence on each certificate of these nodes that has ended or will soon. `nodes`: their objects by their names.

    Nothing is said of a node that does not answer: other checks do.
    """
    authority = machine.path(AUTHORITY)
    if not authority.exists():
        return []
    trusted = ssl.create_default_context(cafile=str(authority))
    trusted.check_hostname = False
    now = datetime.fromisoformat(machine.clock.utc().replace("Z", "+00:00"))
    return [
        f"the certificate of the {what} on {name} {said}"
        for name, node in nodes.items()
        for what, port in ports.items()
        if what == "kubelet" or _has_api_server(node)
        for address in _addresses(node)
        for said in _said(_end(trusted, address, port), now, _unit(node))
    ]


def _addresses(node: Mapping[str, Any]) -> list[str]:
    return [each["address"] for each in node["status"].get("addresses", ()) if each["type"] == "InternalIP"][:1]


def _has_api_server(node: Mapping[str, Any]) -> bool:
    return _SERVER in node["metadata"].get("labels", {})


def _unit(node: Mapping[str, Any]) -> str:
    return "rke2-server" if _has_api_server(node) else "rke2-agent"


def _end(trusted: ssl.SSLContext, address: str, port: int) -> datetime | None:
    """When the certificate there ends; the beginning of all time where it has; None where nobody shows one."""
    try:
        with (
            socket.create_connection((address, port), timeout=_SECONDS) as connection,
            trusted.wrap_socket(connection) as shown,
        ):
            found = shown.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return datetime.min.replace(tzinfo=timezone.utc) if "expired" in error.verify_message else None
    except OSError:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), timezone.utc)


def _said(end: datetime | None, now: datetime, unit: str) -> Iterator[str]:
    if end is None:
        return
    days = (end - now).days
    if days < WARNING_DAYS:
        when = "has ended" if days < 0 else f"ends on {end:%Y-%m-%d}, in {days} days"
        yield f"{when}. RKE2 makes another one when it starts: `sudo systemctl restart {unit}` there, pods go on"
