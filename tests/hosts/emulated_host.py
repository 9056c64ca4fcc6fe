"""A host of its own in QEMU: no root of this one, no processor that could do it faster, and nothing of its network."""

import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.host_disk import PERSON, Disks

_BOOT_SECONDS = 400
_POLL_SECONDS = 3
_HIERARCHY = {
    "v1": "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    "v2": "systemd.unified_cgroup_hierarchy=1",
}
"""What systemd is told by the kernel's command line. Since its version 256 it takes v1 only where that is forced."""


@dataclass(frozen=True)
class EmulatedHost:
    """One that has booted; `ssh` is the start of a command line."""

    ssh: list[str]

    def says(self, command: str, seconds: float = 120) -> str:
        """The output of a command in the person's shell. Raises CalledProcessError and TimeoutExpired."""
        done = subprocess.run(
            [*self.ssh, command],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout

    def shows(self, command: str, seconds: float) -> None:
        """The same for people to see. Ends this program, with the reason, where the command fails or takes longer."""
        print(f"$ {command}", flush=True)
        try:
            done = subprocess.run([*self.ssh, command], check=False, timeout=seconds, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"`{command}` did not end within {seconds:.0f} s") from None
        if done.returncode:
            raise SystemExit(f"`{command}` ended with {done.returncode}")


@contextmanager
def booted(disks: Disks, folder: Path, key: Path, *, groups: str) -> Iterator[EmulatedHost]:
    """`groups`: v1 or v2, which hierarchy of control groups its systemd mounts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = f"root=/dev/vda rw console=ttyS0 {_HIERARCHY[groups]}"
    machine = ["-accel", "tcg,thread=multi", "-cpu", "Westmere", "-smp", "2", "-m", "8G", "-display", "none"]
    kernel = ["-kernel", str(disks.kernel), "-initrd", str(disks.initial_memory_disk), "-append", told]
    drives = [word for disk in (disks.root, disks.cache) for word in ("-drive", f"if=virtio,format=raw,file={disk}")]
    network = ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net"]
    console = folder / "console.log"
    command = ["qemu-system-x86_64", *machine, *kernel, *drives, *network, "-serial", f"file:{console}"]
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"]
    ssh = ["ssh", "-p", str(port), "-i", str(key), *(word for option in options for word in ("-o", option))]
    emulator = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        host = EmulatedHost([*ssh, f"{PERSON}@127.0.0.1"])
        _wait(host, emulator, console)
        yield host
    finally:
        emulator.terminate()
        emulator.wait()


def _wait(host: EmulatedHost, emulator: "subprocess.Popen[bytes]", console: Path) -> None:
    deadline = time.monotonic() + _BOOT_SECONDS
    while subprocess.run([*host.ssh, "true"], capture_output=True, check=False).returncode:
        if emulator.poll() is not None or time.monotonic() > deadline:
            words = shlex.join(host.ssh)
            end = "\n".join(console.read_text(errors="replace").splitlines()[-15:]) if console.exists() else ""
            raise SystemExit(f"the host does not answer to `{words}`. The end of its console:\n{end}")
        time.sleep(_POLL_SECONDS)
