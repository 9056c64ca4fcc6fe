"""When the certificate ends that RKE2 shows at an address: what counts is the one in use, whatever lies on the disk."""

import socket
import ssl
from datetime import datetime, timezone

from machine.host.this_machine import ThisMachine

KUBELET, API_SERVER = 10250, 6443
"""Ports of every node, and of every server."""
_AUTHORITY = "/var/lib/rancher/rke2/agent/server-ca.crt"
"""What signs both, on servers and agents alike."""
_SECONDS = 5


def shown_end(machine: ThisMachine, address: str, port: int) -> datetime | None:
    """The end of the certificate; the earliest possible time if it has ended; None if none of this cluster is shown."""
    authority = machine.path(_AUTHORITY)
    if not authority.exists():
        return None
    trusted = ssl.create_default_context(cafile=str(authority))
    trusted.check_hostname = False
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


def days_until(machine: ThisMachine, end: datetime) -> int:
    """Whole days from now; negative where that is over."""
    return (end - datetime.fromisoformat(machine.clock.utc().replace("Z", "+00:00"))).days
