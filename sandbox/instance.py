"""One sandbox: its name, the directory that holds everything of it, and the network it uses."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.error import SandboxError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?")
_NETWORK = re.compile(r"10\.99\.(\d{1,3})")


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
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.chmod(0o700)
        draft = self.root / "instance.json.new"
        draft.write_text(json.dumps(asdict(self) | {"root": str(self.root)}, indent=2) + "\n")
        draft.replace(self.root / "instance.json")

    @classmethod
    def load(cls, root: Path) -> "Sandbox":
        """Raises SandboxError where there is no sandbox."""
        path = root / "instance.json"
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            raise SandboxError(f"no sandbox in {root}: {path.name} is missing; `make sandbox` makes one") from None
        return cls(name=data["name"], root=root, network=data["network"])

    @classmethod
    def from_environment(cls) -> "Sandbox":
        """The sandbox a provider process belongs to: MIG_K8S_SANDBOX holds its directory."""
        root = os.environ.get("MIG_K8S_SANDBOX")
        if not root:
            raise SandboxError("MIG_K8S_SANDBOX is not set: the directory of the sandbox this process works for")
        return cls.load(Path(root))


def default_root(name: str = "default") -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "mig-k8s" / name
