"""Connections through a load balancer of the sandbox: whom they reach, and when nobody."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import network
from sandbox.cloud import load_balancer
from sandbox.cloud.arm import Cloud
from sandbox.instance import Sandbox
from sandbox.process import ProcessId, run

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]
PORT = 6443
BALANCER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/loadBalancers/api"


@dataclass
class Servers:
    """Two servers behind a load balancer, `first` and `second`, each of which says its name."""

    sandbox: Sandbox
    folder: Path
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str) -> None:
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "name").write_text(name)
        inside = ["nsenter", f"--net={network.path(self.sandbox.machine_namespace(name))}"]
        serve = [sys.executable, "-m", "http.server", str(PORT), "--directory", str(self.folder / name)]
        self.running[name] = subprocess.Popen([*inside, *serve], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self, name: str) -> None:
        server = self.running.pop(name)
        server.kill()
        server.wait()

    @property
    def address(self) -> str:
        return f"{self.sandbox.network}.30"

    def reached(self) -> str | None:
        """Who answers one new connection; None: nobody."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{PORT}/name", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def accepted(self) -> bool:
        """Whether anybody takes a connection at the address."""
        with contextlib.suppress(OSError), socket.create_connection((self.address, PORT), timeout=4):
            return True
        return False

    def become(self, *expected: str | None) -> None:
        """Wait until forty connections in a row reached exactly these."""
        eventually(f"connections reach {expected}", lambda: self._reach_exactly(expected))

    def _reach_exactly(self, expected: tuple[str | None, ...]) -> bool:
        seen = set()
        for _ in range(40 if None not in expected else 1):
            if (name := self.reached()) not in expected:  # the others would tell no more, and each may take 5 s
                return False
            seen.add(name)
        return seen == set(expected)

    def write(self, *backends: str, rules: tuple[dict[str, Any], ...] = ()) -> None:
        """What the cloud has: these private addresses behind the load balancer, and the security group's rules."""
        with Cloud.of(self.sandbox).open() as known:
            known.clear()
            known.update(records(self.sandbox, backends, rules))


def eventually(what: str, seen: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def records(sandbox: Sandbox, backends: tuple[str, ...], rules: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "nsg": {"kind": "network:NetworkSecurityGroup", "inputs": {"securityRules": rules}, "outputs": {}},
        "subnet": {"kind": "network:Subnet", "inputs": {"networkSecurityGroup": {"id": "nsg"}}, "outputs": {}},
        "api-ip": address(f"{sandbox.network}.30"),
        BALANCER: {"kind": "network:LoadBalancer", "inputs": balancer(backends), "outputs": {}},
    }
    for number, name in ((10, "first"), (11, "second")):
        setting = {"privateIPAddress": f"10.60.0.{number}", "subnet": {"id": "subnet"}}
        setting["publicIPAddress"] = {"id": f"{name}-ip"}
        known[f"{name}-ip"] = address(f"{sandbox.network}.{number}")
        known[f"{name}-nic"] = {
            "kind": "network:NetworkInterface",
            "inputs": {},
            "outputs": {"ipConfigurations": [setting]},
        }
    return known


def address(ip: str) -> dict[str, Any]:
    return {"kind": "network:PublicIPAddress", "inputs": {"sku": {"name": "Standard"}}, "outputs": {"ipAddress": ip}}


def balancer(backends: tuple[str, ...]) -> dict[str, Any]:
    addresses = [{"name": ip, "ipAddress": ip, "virtualNetwork": {"id": "net"}} for ip in backends]
    rule = {"name": "api", "protocol": "Tcp", "frontendPort": PORT, "backendPort": PORT}
    rule |= {
        "frontendIPConfiguration": {"id": f"{BALANCER}/frontendIPConfigurations/api"},
        "backendAddressPool": {"id": f"{BALANCER}/backendAddressPools/servers"},
        "probe": {"id": f"{BALANCER}/probes/api"},
    }
    return {
        "sku": {"name": "Standard"},
        "frontendIPConfigurations": [{"name": "api", "publicIPAddress": {"id": "api-ip"}}],
        "backendAddressPools": [{"name": "servers", "loadBalancerBackendAddresses": addresses}],
        "probes": [{"name": "api", "protocol": "Tcp", "port": PORT, "intervalInSeconds": 1, "probeThreshold": 2}],
        "loadBalancingRules": [rule],
    }


@pytest.fixture
def servers(sandbox: Sandbox, tmp_path: Path) -> Iterator[Servers]:
    """Both run, and the load balancer has both; nobody has asked it yet."""
    servers = Servers(sandbox, tmp_path)
    for number, name in ((10, "first"), (11, "second")):
        network.connect(sandbox, name, private=f"10.60.0.{number}/24", public=f"{sandbox.network}.{number}")
    try:
        for name in ("first", "second"):
            servers.start(name)
        servers.write("10.60.0.10", "10.60.0.11")
        load_balancer.start(sandbox, BALANCER)
        yield servers
    finally:
        load_balancer.stop_all(sandbox)
        for name in list(servers.running):
            servers.end(name)
        for name in ("first", "second"):
            network.disconnect(sandbox, name)
        (sandbox.root / "azure.json").unlink(missing_ok=True)


def test_connections_are_spread_and_go_to_who_is_left_when_one_dies(servers: Servers) -> None:
    servers.become("first", "second")
    servers.end("first")
    servers.become("second")
    servers.start("first")
    servers.become("first", "second")


def test_while_nobody_is_healthy_nobody_has_the_address(servers: Servers) -> None:
    servers.become("first", "second")
    for name in ("first", "second"):
        servers.end(name)
    eventually("nobody has the address", lambda: not servers.accepted())
    servers.start("second")
    servers.become("second")


def test_a_change_of_the_load_balancer_is_followed_while_it_runs(servers: Servers) -> None:
    servers.become("first", "second")
    servers.write("10.60.0.11")
    servers.become("second")


def test_a_file_that_somebody_has_written_half_of_changes_nothing(servers: Servers) -> None:
    servers.become("first", "second")
    file = servers.sandbox.root / "azure.json"
    whole = file.read_text()
    file.write_text(whole[:100])
    time.sleep(1.5)  # longer than it takes until a change is followed: nothing can be awaited where nothing happens
    servers.become("first", "second")
    file.write_text(whole)
    servers.write("10.60.0.11")
    servers.become("second")


def test_rules_that_shut_the_probe_out_leave_nobody_healthy(servers: Servers) -> None:
    deny = {"name": "deny-all", "priority": 4096, "direction": "Inbound", "access": "Deny", "protocol": "*"}
    deny |= {"sourceAddressPrefix": "*", "destinationPortRange": "*"}
    allow = {**deny, "name": "probes", "priority": 300, "access": "Allow", "sourceAddressPrefix": "AzureLoadBalancer"}
    servers.write("10.60.0.10", "10.60.0.11", rules=(deny,))
    servers.become(None)
    servers.write("10.60.0.10", "10.60.0.11", rules=(deny, allow))
    servers.become("first", "second")


def test_an_address_that_a_machine_has_had_is_reached_at_once(servers: Servers) -> None:
    """The host would send to the machine's hardware for half a minute."""
    servers.write()
    servers.become(None)
    cable = f"mk8s{servers.sandbox.number}-host"
    run(
        ["ip", "neighbour", "replace", servers.address, "lladdr", "02:00:00:00:00:99", "dev", cable, "nud", "reachable"]
    )
    servers.write("10.60.0.10", "10.60.0.11")
    eventually("it is reached", servers.accepted, seconds=8)


def test_killed_between_an_address_and_its_note_it_leaves_none(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[str] = []

    def killed(verb: str, address: str) -> None:
        changed.append(f"{verb} {address}")
        raise KeyboardInterrupt

    balancer = load_balancer._Balancer(servers.sandbox, BALANCER)
    (servers.sandbox.root / "load_balancers/api/addresses").unlink(missing_ok=True)
    monkeypatch.setattr(load_balancer, "_change_address", killed)
    with pytest.raises(KeyboardInterrupt):
        balancer._hold({servers.address})
    assert changed == [f"replace {servers.address}"]
    assert (servers.sandbox.root / "load_balancers/api/addresses").read_text() == servers.address


def test_the_end_of_it_leaves_neither_process_nor_address(servers: Servers) -> None:
    servers.become("first", "second")
    process = ProcessId.read(servers.sandbox.root / "load_balancers/api/pid")
    assert process is not None
    load_balancer.stop_all(servers.sandbox)
    assert ProcessId.of(process.pid) != process
    assert not servers.accepted()
