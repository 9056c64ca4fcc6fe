"""A load balancer of the sandbox: TCP connections to one address go to whichever machine answers its probe.

As a program, ``python -m sandbox.cloud.load_balancer READY_FD SANDBOX BALANCER``, it is the process that carries the
connections, in the namespace of the sandbox's wire. It reads the cloud's records again and again, so a change of the
load balancer is seen at once. While no machine is healthy nobody has the address: who connects gets no answer, as from
Azure, which drops what it cannot forward.
"""

import asyncio
import contextlib
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from sandbox import network
from sandbox.cloud.arm import Cloud
from sandbox.cloud.balancing_rules import LOAD_BALANCER, Forwarding, Probe, forwardings, name_of
from sandbox.error import SandboxError
from sandbox.instance import Sandbox
from sandbox.process import ProcessId, announce, detach, run

_LOOK_SECONDS = 0.5
"""How long it takes until a change of the records is followed."""
_CONNECT_SECONDS = 4.0
_BYTES = 65_536
_ARP, _IPV4, _ETHERNET = 0x0806, 0x0800, 1
_FREEBIND = 15
"""IP_FREEBIND of <linux/in.h>: listen on an address that nobody has yet."""


def start(sandbox: Sandbox, balancer: str) -> None:
    """Start the load balancer; returns when it listens. Nothing happens if it already runs. Raises SandboxError."""
    directory = _directory(sandbox, balancer)
    process = ProcessId.read(directory / "pid")
    if process is not None and process.pid in network.processes(sandbox.wire):
        return
    stop(sandbox, balancer)
    network.up(sandbox)
    directory.mkdir(parents=True, exist_ok=True)
    detach(
        "sandbox.cloud.load_balancer",
        [str(sandbox.root), balancer],
        log=directory / "log",
        wrapper=["nsenter", f"--net={network.path(sandbox.wire)}"],
    )


def stop(sandbox: Sandbox, balancer: str) -> None:
    """End it and take its addresses off the wire. It is fine if there is none."""
    directory = _directory(sandbox, balancer)
    if (process := ProcessId.read(directory / "pid")) is not None:
        process.kill()
    held = directory / "addresses"
    if held.exists() and network.path(sandbox.wire).exists():
        for address in held.read_text().split():
            with contextlib.suppress(SandboxError):  # the address is gone already
                run(["ip", "-n", sandbox.wire, "address", "delete", f"{address}/32", "dev", "wire"])
        held.unlink()


def start_all(sandbox: Sandbox) -> None:
    """Start those that the cloud has and that do not run: the host was restarted, or somebody killed them."""
    for known in _known(sandbox):
        start(sandbox, known)


def stop_all(sandbox: Sandbox) -> None:
    """Stop those that the cloud has, and those that it does not have any more."""
    folder = sandbox.root / "load_balancers"
    for directory in folder.iterdir() if folder.is_dir() else ():
        stop(sandbox, directory.name)


def _known(sandbox: Sandbox) -> list[str]:
    return [known for known, record in Cloud.of(sandbox).read().items() if record["kind"] == LOAD_BALANCER]


def _directory(sandbox: Sandbox, balancer: str) -> Path:
    return sandbox.root / "load_balancers" / name_of(balancer)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""Both directions of a connection."""


class _Balancer:
    """The process. One task for every probe of a machine, one for every connection."""

    def __init__(self, sandbox: Sandbox, balancer: str) -> None:
        self._sandbox, self._balancer = sandbox, balancer
        self._healthy: dict[tuple[str, Probe], bool] = {}
        self._probes: dict[tuple[str, Probe], asyncio.Task[None]] = {}
        self._listeners: dict[tuple[str, int], asyncio.Server] = {}
        self._rules: dict[tuple[str, int], Forwarding] = {}
        self._held: set[str] = set()

    async def run(self, descriptor: int) -> None:
        await self._follow()
        announce(descriptor)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._follow()

    async def _follow(self) -> None:
        """Listen, probe and hold addresses as the records say now."""
        try:
            records = Cloud.of(self._sandbox).read()
        except ValueError:  # somebody edits the file, and their editor has written half of it: read it the next time
            return
        self._rules = {(rule.address, rule.port): rule for rule in forwardings(records, self._balancer)}
        for key in self._rules.keys() - self._listeners.keys():
            self._listeners[key] = await asyncio.start_server(self._accept, sock=_listening(*key))
        for key in self._listeners.keys() - self._rules.keys():
            self._listeners.pop(key).close()
        wanted = {(backend, rule.probe) for rule in self._rules.values() for backend in rule.backends}
        for probed in wanted - self._probes.keys():
            self._probes[probed] = asyncio.create_task(self._probe(*probed))
        for probed in self._probes.keys() - wanted:
            self._probes.pop(probed).cancel()
            self._healthy.pop(probed, None)
        self._hold({rule.address for rule in self._rules.values() if self._able(rule)})

    def _able(self, rule: Forwarding) -> list[str]:
        return [backend for backend in rule.backends if self._healthy.get((backend, rule.probe))]

    async def _probe(self, backend: str, probe: Probe) -> None:
        failed = probe.failures
        while True:
            try:
                async with _connected(backend, probe.port):
                    failed = 0
            except OSError:
                failed += 1
            self._healthy[backend, probe] = failed < probe.failures
            await asyncio.sleep(probe.seconds)

    def _hold(self, addresses: set[str]) -> None:
        """Have these addresses on the wire, and no others of this load balancer.

        Addresses are noted before they are added, so that `stop` knows all of them even after a kill in between.
        """
        if addresses == self._held:
            return
        self._note(addresses | self._held)
        for address in addresses - self._held:
            _change_address("replace", address)
            _tell_neighbours(address)
        for address in self._held - addresses:
            _change_address("delete", address)
        self._note(addresses)
        self._held = addresses

    def _note(self, addresses: set[str]) -> None:
        (_directory(self._sandbox, self._balancer) / "addresses").write_text("\n".join(sorted(addresses)))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = writer.get_extra_info("sockname")[:2]
        rule = self._rules.get((address, port))
        with contextlib.suppress(OSError):
            if rule and (able := self._able(rule)):
                async with _connected(_chosen(able, writer), rule.backend_port) as machine:
                    await forward((reader, writer), machine)
        writer.close()


def _chosen(able: list[str], client: asyncio.StreamWriter) -> str:
    """The machine for a connection, by the client's address and port, as Azure chooses it by default."""
    return able[zlib.crc32(repr(client.get_extra_info("peername")).encode()) % len(able)]


def _listening(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
    listener.bind((address, port))
    return listener


def _change_address(verb: str, address: str) -> None:
    run(["ip", "address", verb, f"{address}/32", "dev", "wire"])


def _tell_neighbours(address: str) -> None:
    """Announce to all on the wire who has the address now (RFC 5227): a machine may have had it before."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("wire", 0))
        own, ip = wire.getsockname()[4], socket.inet_aton(address)
        request = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(own), len(ip), 1) + own + ip + bytes(6) + ip
        wire.send(b"\xff" * 6 + own + struct.pack("!H", _ARP) + request)


@contextlib.asynccontextmanager
async def _connected(address: str, port: int) -> AsyncIterator[Streams]:
    """Connect to a machine. Raises OSError where it does not answer in time; TimeoutError is one."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_SECONDS)
    try:
        yield reader, writer
    finally:
        writer.close()


async def forward(client: Streams, machine: Streams) -> None:
    """Forward what comes in both directions, until both have ended or one of the connections is lost."""
    (reader, writer), (there, to_there) = client, machine
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_carry(reader, to_there))
            directions.create_task(_carry(there, writer))
    except* OSError:  # the group has ended the other direction
        pass


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward what comes, until its end. Raises OSError."""
    while data := await reader.read(_BYTES):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):  # the other side has closed already
        writer.write_eof()


def _serve(descriptor: int, root: Path, balancer: str) -> None:
    sandbox = Sandbox.load(root)
    ProcessId.me().write(_directory(sandbox, balancer) / "pid")
    asyncio.run(_Balancer(sandbox, balancer).run(descriptor))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
