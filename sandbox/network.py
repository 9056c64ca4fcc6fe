"""The wires of a sandbox: a namespace with a bridge, the mirror's address and those of Azure's own services, one per
machine, a cable to the host.

Nothing listens on the host's end, and no namespace has a route out. Only links and namespaces whose names start with
``mk8s`` and carry the sandbox's own name or number are made or removed.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import metadata_service
from sandbox.error import SandboxError
from sandbox.instance import Sandbox
from sandbox.process import run

_NAMESPACES = Path("/run/netns")


def up(sandbox: Sandbox) -> None:
    """Make the network; what a killed run left half done is made again. Raises SandboxError if another one uses it."""
    host, wire = _host_link(sandbox), sandbox.wire
    with _exclusive():
        if path(wire).exists() and _owner(sandbox) == wire and _has_address(None, host, sandbox.host_address):
            return
        _remove_wire(sandbox)
        for route in json.loads(run(["ip", "-json", "route", "show", "root", f"{sandbox.network}.0/24"])):
            raise SandboxError(
                f"network {sandbox.network}.0/24 is already in use on this host"
                f" (dev {route.get('dev')}, {_owner(sandbox) or 'not of a sandbox'})"
            )
        run(["ip", "netns", "add", wire])
        run(["ip", "-n", wire, "link", "set", "lo", "up"])
        # A bridge without an address of its own takes the lowest of its ports', and those come and go with machines.
        # Whoever knows the old one would reach neither mirror nor load balancer until it asks again, up to 45 s later.
        run(["ip", "-n", wire, "link", "add", "wire", "address", _hardware(sandbox, 0), "type", "bridge"])
        run(["ip", "-n", wire, "address", "add", f"{sandbox.mirror_address}/24", "dev", "wire"])
        for address in (metadata_service.METADATA, metadata_service.CHANNEL):
            run(["ip", "-n", wire, "address", "add", f"{address}/32", "dev", "wire"])
        run(["ip", "-n", wire, "link", "set", "wire", "up"])
        run(["ip", "link", "add", host, "type", "veth", "peer", "name", "host", "netns", wire])
        run(["ip", "link", "set", host, "alias", wire])
        run(["ip", "-n", wire, "link", "set", "host", "master", "wire", "up"])
        run(["ip", "link", "set", host, "up"])
        run(
            ["ip", "address", "add", f"{sandbox.host_address}/24", "dev", host]
        )  # last: the sign that all of it is there


def down(sandbox: Sandbox) -> None:
    """Remove all namespaces and links of the sandbox and its machines. Raises SandboxError if processes live there."""
    with _exclusive():
        machines = [sandbox.machine_namespace(vm_id) for vm_id in sandbox.machine_ids]
        for namespace in (*machines, sandbox.wire):
            if members := processes(namespace):
                raise SandboxError(f"processes {sorted(members)} still use the network of {namespace}: end them first")
        for namespace in machines:
            _remove_namespace(namespace)
        _remove_wire(sandbox)  # its link first: with the namespace the kernel would take it away in its own time


def connect(sandbox: Sandbox, vm_id: str, *, private: str, public: str) -> str:
    """The namespace of a machine, with ``eth0`` on the wire; returns its name.

    ``private`` is an address with its prefix length (10.60.0.4/24); ``public`` one of the sandbox's /24, without.
    """
    namespace, place = sandbox.machine_namespace(vm_id), _place(sandbox, public)
    port = f"port{place}"
    # by place, not at random: neighbours remember the hardware address of a machine that was replaced
    hardware = _hardware(sandbox, place)
    with _exclusive():
        if _has_address(namespace, "eth0", public):
            return namespace
        _remove_namespace(namespace)
        run(["ip", "netns", "add", namespace])
        run(["ip", "-n", sandbox.wire, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        run(["ip", "-n", sandbox.wire, "link", "set", port, "master", "wire", "up"])
        run(["ip", "-n", namespace, "link", "set", "lo", "up"])
        run(["ip", "-n", namespace, "link", "set", "eth0", "address", hardware, "up"])
        run(["ip", "-n", namespace, "address", "add", private, "dev", "eth0"])
        run(["ip", "-n", namespace, "address", "add", f"{public}/24", "dev", "eth0"])
        for address in (metadata_service.METADATA, metadata_service.CHANNEL):  # as Azure's DHCP has it
            run(["ip", "-n", namespace, "route", "add", f"{address}/32", "dev", "eth0"])
        run(["ip", "-n", sandbox.wire, "route", "replace", f"{private.partition('/')[0]}/32", "dev", "wire"])
        # Whoever had the address before, a load balancer perhaps, would be sent what is meant for this machine.
        run(["ip", "neighbour", "flush", "to", public, "dev", _host_link(sandbox)])
    return namespace


def disconnect(sandbox: Sandbox, vm_id: str) -> None:
    with _exclusive():
        _remove_namespace(sandbox.machine_namespace(vm_id))


def plug(sandbox: Sandbox, vm_id: str, *, into: bool) -> None:
    """Plug a machine's cable into the wire, or pull it out: the machine runs, and nobody reaches it."""
    (inside,) = json.loads(run(["ip", "-n", sandbox.machine_namespace(vm_id), "-json", "link", "show", "eth0"]))
    ports = json.loads(run(["ip", "-n", sandbox.wire, "-json", "link", "show", "type", "veth"]))
    (port,) = (port["ifname"] for port in ports if port["ifindex"] == inside["link_index"])
    run(["ip", "-n", sandbox.wire, "link", "set", port, "up" if into else "down"])


def path(namespace: str) -> Path:
    """What `nsenter --net=` takes. Not `ip netns exec`: that hides the control groups."""
    return _NAMESPACES / namespace


def processes(namespace: str) -> set[int]:
    """Every process in the namespace; none if there is no such namespace."""
    return {int(pid) for pid in run(["ip", "netns", "pids", namespace]).split()} if path(namespace).exists() else set()


def _host_link(sandbox: Sandbox) -> str:
    return f"mk8s{sandbox.number}-host"


def _owner(sandbox: Sandbox) -> str:
    """The wire at the other end of the host's link, as its alias says; "" if there is none, or it is half made."""
    try:
        return Path(f"/sys/class/net/{_host_link(sandbox)}/ifalias").read_text().strip()
    except OSError:  # not there, or gone between the opening and the reading
        return ""


def _hardware(sandbox: Sandbox, place: int) -> str:
    """The hardware address of what has this place in the sandbox's network; 0 is the wire itself."""
    return f"02:6d:38:73:{sandbox.number:02x}:{place:02x}"


def _place(sandbox: Sandbox, public: str) -> int:
    """The last number of a machine's public address."""
    number = public.removeprefix(f"{sandbox.network}.")
    if not number.isdecimal() or not 2 <= int(number) <= 253:
        raise SandboxError(f"public address {public}: expected one of {sandbox.network}.2 to .253")
    return int(number)


def _has_address(namespace: str | None, link: str, address: str) -> bool:
    if namespace is not None and not path(namespace).exists():
        return False
    shown = json.loads(run(["ip", *_inside(namespace), "-json", "address", "show"]))
    return any(a["local"] == address for entry in shown if entry["ifname"] == link for a in entry["addr_info"])


def _remove_wire(sandbox: Sandbox) -> None:
    host = _host_link(sandbox)
    if _link_exists(None, host) and _owner(sandbox) in {"", sandbox.wire}:
        _remove_link(None, host)
    _remove_namespace(sandbox.wire)


def _remove_namespace(namespace: str) -> None:
    """The machine's end of the cable goes first: with the namespace, the kernel takes the cable away a moment later."""
    if path(namespace).exists():
        if _link_exists(namespace, "eth0"):
            _remove_link(namespace, "eth0")
        run(["ip", "netns", "delete", namespace])


def _remove_link(namespace: str | None, link: str) -> None:
    """Remove a link, and with it the other end of the cable; it may vanish meanwhile.

    The kernel itself removes the links of a namespace whose last process has ended: a killed run leaves such ones.
    """
    try:
        run(["ip", *_inside(namespace), "link", "delete", link])
    except SandboxError:
        if _link_exists(namespace, link):
            raise


def _link_exists(namespace: str | None, link: str) -> bool:
    shown = json.loads(run(["ip", *_inside(namespace), "-json", "link", "show"]))
    return any(entry["ifname"] == link for entry in shown)


def _inside(namespace: str | None) -> list[str]:
    """Words that send `ip` into a namespace; None is the host's own."""
    return ["-n", namespace] if namespace else []


@contextmanager
def _exclusive() -> Iterator[None]:
    """Allow one change at a time on this host: the engine makes several machines at once, people several sandboxes."""
    with Path("/proc/self/ns/net").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
