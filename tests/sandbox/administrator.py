"""A booted machine as its administrator sees it: keys, SSH with the pinned host key, waiting for reboots."""

import base64
import subprocess
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from sandbox.host import machine
from sandbox.host.machine import MachineSpec
from sandbox.instance import Sandbox
from sandbox.process import ProcessId


@dataclass(frozen=True)
class KeyPair:
    private: str
    public: str

    @classmethod
    def make(cls, folder: Path, name: str) -> "KeyPair":
        path = folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
        return cls(path.read_text(), path.with_suffix(".pub").read_text().strip())


@dataclass(frozen=True)
class Keys:
    admin: KeyPair
    host: KeyPair
    folder: Path


@dataclass(frozen=True)
class Machine:
    """A booted machine as its administrator sees it."""

    sandbox: Sandbox
    spec: MachineSpec
    keys: Keys

    @property
    def directory(self) -> Path:
        return self.sandbox.machine_directory(self.spec.vm_id)

    @property
    def group(self) -> str:
        """Name of its namespace and its control group."""
        return self.sandbox.machine_namespace(self.spec.vm_id)

    def dial(self, host_key: str | None = None) -> paramiko.SSHClient:
        """Log in once; any host key but ``host_key`` (default: the one in the custom data) is refused."""
        kind, blob = (host_key or self.keys.host.public).split()[:2]
        client = paramiko.SSHClient()
        pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
        client.get_host_keys().add(self.spec.public_address, kind, pinned)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        key = paramiko.Ed25519Key.from_private_key_file(str(self.keys.folder / "admin"))
        client.connect(
            self.spec.public_address,
            username=self.spec.admin_username,
            pkey=key,
            timeout=5,
            banner_timeout=5,
            auth_timeout=5,
            allow_agent=False,
            look_for_keys=False,
        )
        return client

    def connect(self, seconds: float = 30) -> paramiko.SSHClient:
        """Log in, trying until the machine lets us: it boots, or boots again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.dial()
            except (OSError, paramiko.SSHException) as error:
                if time.monotonic() > deadline:
                    console = (self.directory / "console.log").read_text()[-2000:]
                    raise AssertionError(
                        f"no SSH to {self.spec.name} in {seconds:.0f} s: {error}\n{console}"
                    ) from error
                time.sleep(0.1)

    def run(self, command: str, *, check: bool = True) -> str:
        """Output and errors of a command, in the order they came."""
        with self.connect() as client:
            _, output, _ = client.exec_command(f"exec 2>&1; {command}", timeout=60)
            text = output.read().decode()
            status = output.channel.recv_exit_status()
        assert not check or status == 0, f"{command}: exit status {status}\n{text}"
        return text.strip()

    def wait_for_cloud_init(self) -> None:
        self.run("cloud-init status --wait")

    def wait_for_reboot(self, boot_id: str, seconds: float = 45) -> None:
        """Wait until it answers with another boot id; on the way down it may take a connection and drop it."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(EOFError, OSError, paramiko.SSHException, AssertionError):
                if self.boot_id() != boot_id:
                    return
            assert time.monotonic() < deadline, f"{self.spec.name} did not reboot in {seconds:.0f} s"
            time.sleep(0.1)

    def wait_until_off(self, seconds: float = 20) -> None:
        supervisor = ProcessId.read(self.directory / "supervisor.pid")
        assert supervisor is None or supervisor.wait(seconds), f"{self.spec.name} is not off after {seconds:.0f} s"

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id")


class Boot:
    """``boot(number=11, cloud_config="…")`` starts a machine with the addresses 10.60.0.11 and 10.99.N.11."""

    def __init__(self, sandbox: Sandbox, keys: Keys) -> None:
        self.sandbox, self.keys = sandbox, keys
        self.machines: list[Machine] = []
        """Also those that did not start."""

    def __call__(self, number: int = 10, cloud_config: str = "") -> Machine:
        spec = MachineSpec(
            vm_id=str(uuid.uuid4()),
            name="mlops-k8s-master",
            custom_data=self._custom_data(cloud_config),
            admin_username="azureuser",
            public_key=self.keys.admin.public,
            private_address=f"10.60.0.{number}/24",
            public_address=f"{self.sandbox.network}.{number}",
            gpus=({"index": 0, "model": "A100-80GB", "uuid": "GPU-0", "pci_bus_id": "00000001:00:00.0"},),
        )
        self.machines.append(Machine(self.sandbox, spec, self.keys))
        machine.start(self.sandbox, spec)
        return self.machines[-1]

    def _custom_data(self, cloud_config: str) -> bytes:
        host = self.keys.host
        private = "".join(f"    {line}\n" for line in host.private.splitlines())
        pinned = f"ssh_keys:\n  ed25519_public: {host.public}\n  ed25519_private: |\n{private}"
        return f"#cloud-config\n{pinned}{cloud_config}".encode()
