"""One sandbox: its name, the directory that holds everything of it, and the network it uses."""

import fcntl
import json
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox import person
from sandbox.error import SandboxError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?")
_NETWORK = re.compile(r"10\.99\.(\d{1,3})")
_LINKS, _NAMESPACES = Path("/sys/class/net"), Path("/run/netns")
_CLAIMS = Path("/run/mig-k8s")
"""Namespaces, addresses and control groups are the host's, and go with a reboot as this folder does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """``network`` is the first three numbers of its /24, e.g. ``10.99.0``; no real network here may use that range."""

    name: str
    root: Path
    network: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SandboxError(f"sandbox name {self.name!r}: at most 22 of a-z, 0-9 and -, not at the ends")
        match = _NETWORK.fullmatch(self.network)
        if match is None or int(match[1]) > 255:
            raise SandboxError(f"sandbox network {self.network!r}: expected 10.99.N with N from 0 to 255")

    @property
    def number(self) -> int:
        return int(self.network.rsplit(".", 1)[1])

    @property
    def mirror_address(self) -> str:
        return f"{self.network}.1"

    @property
    def mirror_url(self) -> str:
        return f"http://{self.mirror_address}"

    @property
    def host_address(self) -> str:
        return f"{self.network}.254"

    @property
    def wire(self) -> str:
        """Name of the network namespace that holds the bridge and the mirror."""
        return f"mk8s-{self.name}"

    def machine_namespace(self, vm_id: str) -> str:
        return f"mk8s-{self.name}-{vm_id}"

    def machine_directory(self, vm_id: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", vm_id):
            raise SandboxError(f"machine id {vm_id!r}: expected letters, digits and -")
        return self.root / "machines" / vm_id

    @property
    def machine_ids(self) -> list[str]:
        """Machines that have a directory, running or not."""
        folder = self.root / "machines"
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []

    def save(self) -> None:
        """Keep it in ``root/instance.json``; only its owner may look into the directory."""
        person.make_folder(self.root, mode=0o700)
        self.root.chmod(0o700)
        draft = self.root / "instance.json.new"
        draft.write_text(json.dumps(asdict(self) | {"root": str(self.root)}, indent=2) + "\n")
        draft.replace(self.root / "instance.json")

    @classmethod
    def load(cls, root: Path) -> "Sandbox":
        """Read a sandbox from its directory. Raises SandboxError where there is none."""
        path = root / "instance.json"
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            raise SandboxError(
                f"no sandbox in {root}: {path.name} is missing; `{person.command('make sandbox')}` makes one"
            ) from None
        return cls(name=data["name"], root=root, network=data["network"])

    @classmethod
    def from_environment(cls) -> "Sandbox":
        """The sandbox a provider process belongs to: MIG_K8S_SANDBOX holds its directory."""
        root = os.environ.get("MIG_K8S_SANDBOX")
        if not root:
            raise SandboxError("MIG_K8S_SANDBOX is not set: the directory of the sandbox this process works for")
        return cls.load(Path(root))

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Take name and network, against the sandboxes of other users too. Raises SandboxError if one has them; root.

        For good once its network is up, which the block is for: others wait until it ends.
        """
        with _claims() as claims:
            for other in _holders(claims):
                if other.root.resolve() != self.root.resolve() and (
                    other.name == self.name or other.network == self.network
                ):
                    shared = f"name {self.name}" if other.name == self.name else f"network {self.network}.0/24"
                    raise SandboxError(
                        f"the {shared} belongs to another sandbox on this host: {other.root} (user"
                        f" {_owner(other.root)}). End that one (`{person.command('make sandbox-down')}`, as that user),"
                        " or take another name: python -m sandbox --name NAME up"
                    )
            (claims / self.name).write_text(f"{self.root.absolute()}\n")
            yield

    def release(self) -> None:
        """Free name and network for others. Nothing happens if it holds none."""
        with _claims() as claims:
            for holder in _holders(claims):
                if holder.root.resolve() == self.root.resolve():
                    (claims / holder.name).unlink()


def holders() -> list[Sandbox]:
    """Sandboxes on this host that hold a name and a network, of whichever user; only root may look."""
    if os.geteuid() != 0:
        return []
    with _claims() as claims:
        return list(_holders(claims))


def free_network(taken: Iterable[int] = ()) -> str:
    """The lowest network that neither another sandbox of this host nor one of the numbers in ``taken`` has."""
    wires = (re.fullmatch(r"mk8s(\d+)-host", link.name) for link in _LINKS.iterdir())
    used = {*taken, *(int(wire[1]) for wire in wires if wire), *(other.number for other in holders())}
    for number in range(256):
        if number not in used:
            return f"10.99.{number}"
    raise SandboxError("no network 10.99.0 to 10.99.255 is free: `python -m sandbox clean` ends sandboxes")


@contextmanager
def choosing(folder: Path) -> Iterator[Path]:
    """Lock the names and networks that `folder` keeps: of two who choose at once, one would be refused."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _claims() -> AbstractContextManager[Path]:
    """The folder with a file for each name that is taken, holding the sandbox's directory; one process at a time."""
    return choosing(_CLAIMS)


def _holders(claims: Path) -> Iterator[Sandbox]:
    """The sandboxes that hold names; one whose directory or network is gone holds nothing."""
    for claim in sorted(claims.iterdir()):
        root = Path(claim.read_text().strip())
        holder = Sandbox.load(root) if (root / "instance.json").exists() else None
        if holder and holder.name == claim.name and (_NAMESPACES / holder.wire).exists():
            yield holder
        else:
            claim.unlink()


def _owner(root: Path) -> str:
    number = root.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def made(name: str) -> Sandbox:
    """The sandbox of this name, or a new one with the lowest network that is free on this host."""
    root = default_root(name)
    if (root / "instance.json").exists():
        return Sandbox.load(root)
    person.make_folder(root.parent, mode=0o700)
    with choosing(root.parent):
        others = [default_root(other) for other in of_this_user()]
        taken = {Sandbox.load(other).number for other in others if (other / "instance.json").exists()}
        sandbox = Sandbox(name=name, root=root, network=free_network(taken))
        sandbox.save()
    return sandbox


def give_back() -> None:
    """Let the person own what root has made in their sandboxes, but for the machines' disks; see `person`."""
    person.give_tree(default_root().parent, but="machines")


def of_this_user() -> list[str]:
    """The names of this user's sandboxes, half-made ones too."""
    parent = default_root().parent
    return sorted(entry.name for entry in parent.iterdir() if entry.is_dir()) if parent.is_dir() else []


def default_root(name: str = "default") -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "mig-k8s" / name
