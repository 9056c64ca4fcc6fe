"""The ways to the API servers: the address of the Service `kubernetes`, and on an agent 127.0.0.1:6443."""

import json
import subprocess

from . import paths
from .configuration import Configuration
from .units import Unit


def unit(configuration: Configuration, *, is_server: bool) -> Unit:
    """The proxy's unit; the Service's address becomes one of the machine's own."""
    service = str(configuration.service_cidr[1])
    # Scope host: nobody takes it for an address to reach this machine by.
    address = ["ip", "address", "replace", f"{service}/32", "dev", "lo", "scope", "host"]
    subprocess.run(address, check=True, capture_output=True)
    listening = [f"{service}:443"] if is_server else [f"{service}:443", "127.0.0.1:6443"]
    program = paths.SHARE / "node/service_proxy.py"
    return Unit(name="kube-proxy", command=("/usr/bin/python3", "-I", str(program), str(paths.API_SERVERS), *listening))


def remember(servers: list[str]) -> None:
    """Keep where the API servers are, host:port, best first."""
    content = json.dumps(servers) + "\n"
    if not paths.API_SERVERS.exists() or paths.API_SERVERS.read_text() != content:
        paths.write(paths.API_SERVERS, content)


def remembered() -> list[str]:
    return list(json.loads(paths.API_SERVERS.read_text())) if paths.API_SERVERS.exists() else []
