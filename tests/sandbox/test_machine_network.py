"""The wires of a sandbox are made once, taken down without a trace, and never another sandbox's."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import network
from sandbox.error import SandboxError
from sandbox.instance import Sandbox
from sandbox.mirror.server import Mirror
from sandbox.process import run

pytestmark = pytest.mark.sandbox


@pytest.fixture
def wired(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """A second sandbox with a network of its own, up."""
    second = Sandbox(name=f"{sandbox.name}-b", root=tmp_path / "b", network=f"10.99.{sandbox.number + 50}")
    second.save()
    network.up(second)
    yield second
    network.down(second)


def links(*namespace: str) -> str:
    return run(["ip", *namespace, "-brief", "address"])


def test_bringing_it_up_again_changes_nothing(wired: Sandbox) -> None:
    cable = ("show", "dev", f"mk8s{wired.number}-host")  # other sandboxes come and go
    before = run(["ip", "address", *cable]), links("-n", wired.wire)
    network.up(wired)
    assert (run(["ip", "address", *cable]), links("-n", wired.wire)) == before


def test_going_down_leaves_neither_link_nor_namespace(wired: Sandbox) -> None:
    assert f"mk8s{wired.number}-host" in links()
    network.down(wired)
    assert f"mk8s{wired.number}-host" not in links()
    assert not network.path(wired.wire).exists()


def test_a_machine_is_reached_at_once_at_an_address_that_somebody_else_has_had(wired: Sandbox) -> None:
    """As a load balancer's: the host would send to its hardware for half a minute."""
    address, cable = f"{wired.network}.30", f"mk8s{wired.number}-host"
    run(["ip", "neighbour", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", cable, "nud", "reachable"])
    network.connect(wired, "one", private="10.60.0.30/24", public=address)
    wired.machine_directory("one").mkdir(parents=True)
    with pytest.raises(ConnectionRefusedError):  # an answer, from the machine
        socket.create_connection((address, 22), timeout=3)


def test_every_cable_goes_before_the_namespace_that_it_leads_into(
    wired: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel removes the cables of a namespace some time after it: `ip` would fail before or after that."""
    machine = network.connect(wired, "one", private="10.60.0.10/24", public=f"{wired.network}.10")
    wired.machine_directory("one").mkdir(parents=True)
    removed: list[list[str]] = []

    def recorded(argv: Sequence[str]) -> str:
        if "delete" in argv:
            removed.append(list(argv))
        return run(argv)

    monkeypatch.setattr(network, "run", recorded)
    network.down(wired)
    assert removed == [
        ["ip", "-n", machine, "link", "delete", "eth0"],
        ["ip", "netns", "delete", machine],
        ["ip", "link", "delete", f"mk8s{wired.number}-host"],
        ["ip", "netns", "delete", wired.wire],
    ]


def test_a_cable_that_the_kernel_takes_away_in_that_moment_is_gone_and_no_error(
    wired: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the sandbox has seen the cable and before `ip` deletes it, as on a slow host."""
    network.connect(wired, "one", private="10.60.0.10/24", public=f"{wired.network}.10")
    wired.machine_directory("one").mkdir(parents=True)
    failed: list[str] = []

    def too_late(argv: Sequence[str]) -> str:
        if "link" in argv and "delete" in argv:
            run(argv)
        try:
            return run(argv)
        except SandboxError as error:
            failed.append(str(error).splitlines()[-1])
            raise

    monkeypatch.setattr(network, "run", too_late)
    network.down(wired)
    assert failed == ['Cannot find device "eth0"', f'Cannot find device "mk8s{wired.number}-host"']
    assert f"mk8s{wired.number}-host" not in links()
    assert not network.path(wired.wire).exists()


def test_a_cable_that_stays_is_an_error(wired: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(argv: Sequence[str]) -> str:
        if "link" in argv and "delete" in argv:
            raise SandboxError("Operation not permitted")
        return run(argv)

    with monkeypatch.context() as patched:
        patched.setattr(network, "run", refused)
        with pytest.raises(SandboxError, match=r"^Operation not permitted$"):
            network.down(wired)
    assert network.path(wired.wire).exists()


def test_a_half_made_network_is_made_again(wired: Sandbox) -> None:
    run(["ip", "link", "delete", f"mk8s{wired.number}-host"])
    network.up(wired)
    with pytest.raises(ConnectionRefusedError):  # by the kernel at the other end: it is reached
        socket.create_connection((wired.mirror_address, 80), timeout=5)


def test_a_network_that_another_sandbox_uses_is_refused_and_left_alone(wired: Sandbox, tmp_path: Path) -> None:
    rival = Sandbox(name=f"{wired.name}2", root=tmp_path / "rival", network=wired.network)
    for _ in range(2):
        with pytest.raises(SandboxError, match=rf"already in use on this host \(dev mk8s\d+-host, {wired.wire}\)"):
            network.up(rival)
    network.down(rival)
    assert f"{wired.host_address}/24" in links()


def test_several_at_once_make_one(wired: Sandbox) -> None:
    network.down(wired)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(network.up, [wired] * 4))
    assert links().count(f"{wired.host_address}/24") == 1


def test_a_network_in_use_is_not_taken_down(wired: Sandbox) -> None:
    Mirror(wired).start()
    try:
        with pytest.raises(SandboxError, match=rf"processes \[\d+\] still use the network of {wired.wire}"):
            network.down(wired)
        assert f"{wired.host_address}/24" in links()
    finally:
        Mirror(wired).stop()


def test_a_machine_that_comes_or_goes_keeps_nobody_from_the_wire(wired: Sandbox) -> None:
    """Whatever hardware address the kernel draws for its port: neighbours go on with the wire's, which they know."""

    def refused() -> None:
        with pytest.raises(ConnectionRefusedError):  # by the kernel at the other end: it is reached
            socket.create_connection((wired.mirror_address, 80), timeout=2)

    refused()
    network.connect(wired, "low", private="10.60.0.10/24", public=f"{wired.network}.10")
    run(["ip", "-n", wired.wire, "link", "set", "port10", "address", "02:00:00:00:00:01"])
    refused()
    network.disconnect(wired, "low")
    refused()
