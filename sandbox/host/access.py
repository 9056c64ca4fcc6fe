"""How people get into a sandbox: `ssh_config`, `known_hosts…`, `kubeconfig` in its directory, for their owner only."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import private_file
from sandbox.engine.environment import Environment
from sandbox.instance import Sandbox

_KEY_EXCHANGE = "curve25519-sha256"
"""ssh's first choice, which also withstands quantum computers, takes 65 ms of processor time more for a connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """A machine and its administrator."""

    name: str
    address: str
    user: str


def login(sandbox: Sandbox, vm_id: str) -> Login | None:
    """The machine and its administrator; None if the machine is only half made."""
    described = sandbox.machine_directory(vm_id) / "machine.json"
    if not described.exists():
        return None
    machine = json.loads(described.read_text())
    return Login(name=machine["name"], address=machine["address"], user=machine["user"])


def logins(sandbox: Sandbox) -> Iterator[Login]:
    """A login for each machine there is."""
    for vm_id in sandbox.machine_ids:
        if found := login(sandbox, vm_id):
            yield found


def ssh_config(root: Path) -> Path:
    """The path of the file that `ssh -F` takes."""
    return root / "ssh_config"


def kubeconfig(root: Path) -> Path:
    """The path of the file that `kubectl --kubeconfig` takes; there is none before the first cluster."""
    return root / "kubeconfig"


def write_ssh_files(sandbox: Sandbox) -> None:
    """`ssh_config` and `known_hosts` for the machines there are now: whoever makes or ends one calls this."""
    root, environment = sandbox.root, Environment(sandbox.root, machines=True)
    known_hosts, found = root / "known_hosts", list(logins(sandbox))
    host_key = environment.host_key.with_suffix(".pub").read_text().strip()
    private_file.write(known_hosts, "".join(f"{known.address} {host_key}\n" for known in found))
    hosts = [
        f"Host {known.name}\n  HostName {known.address}\n  User {known.user}\n  IdentityFile {environment.admin_key}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {known_hosts} {_told_known_hosts(root)}\n"
        f"  StrictHostKeyChecking yes\n  ConnectTimeout 10\n  KexAlgorithms {_KEY_EXCHANGE}\n"
        for known in found
    ]
    private_file.write(ssh_config(root), "".join(hosts))


def write_known_hosts(environment: Environment, told: Mapping[str, str]) -> None:
    """The host keys that the stack's output has: those of a stack whose machines have their own."""
    private_file.write(_told_known_hosts(environment.root), "".join(f"{lines}\n" for lines in told.values()))


def _told_known_hosts(root: Path) -> Path:
    return root / "known_hosts_told"


def write_kubeconfig(environment: Environment) -> None:
    """Write it from the state, not from the stack's outputs: those are kept only when all of the program has run."""
    for resource in environment.state(secrets=True).get("resources", []):
        known = resource.get("outputs", {}).get("kubeconfig")
        if resource["type"] == "mig-k8s:index:Cluster" and known:
            private_file.write(kubeconfig(environment.root), json.loads(known["plaintext"]))
