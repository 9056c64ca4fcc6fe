"""Faults of a machine: each is one systemd unit in it, which makes the trouble when it starts and ends it when stopped.

On the disk of a machine to come the unit is there from the first boot on.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox import distance
from sandbox.error import SandboxError
from sandbox.host import machine
from sandbox.host.machine import MachineStatus
from sandbox.instance import Sandbox
from sandbox.process import ProcessId, run

ABOUT = {
    "apt-lock": "somebody else (unattended-upgrades, say) holds dpkg's lock until the fault is off",
    "disk-full": "there is room for 1 MiB where apt downloads packages to",
    "state-disk-full": "there is no room where mig-k8s keeps its records",
    "slow-boot": "sshd comes 15 s later than usual at a boot",
    "ssh-drops": "an SSH session is cut after it has lasted 2 s, once",
    "reboot": "the power fails 2 s into an SSH session, once; the machine boots again",
    "wrong-host-key": "the machine shows another SSH host key than the one in its custom data",
    "instance-busy": "a process uses every MIG device there is",
}
_BOOT_SECONDS = 60
_ARCHIVES = "/var/cache/apt/archives"
_RECORDS = "/var/lib/mig-k8s"
# The title of the process that serves a session without a terminal: what a remote command runs in.
_SESSION = "pid=$(pgrep -fo '^sshd: [a-z]+@notty') && sleep 2 && [ -d /proc/$pid ]"
_LOCK = (
    "import fcntl, signal; lock = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(lock, fcntl.LOCK_EX);"
    " signal.pause()"
)
_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A fault's unit. `order`: lines of [Unit]; `service`: lines of [Service]; `at_boot`: it acts at a boot only."""

    name: str
    order: str = ""
    service: str
    at_boot: bool = False

    @property
    def _file(self) -> str:
        return f"fault-{self.name}.service"

    def write(self, disk: Path) -> None:
        """The unit, enabled, on a machine's disk."""
        system = disk / "etc/systemd/system"
        wanted = system / "multi-user.target.wants" / self._file
        wanted.parent.mkdir(parents=True, exist_ok=True)
        text = f"[Unit]\nDescription=fault {self.name}\n{self.order}\n[Service]\n{self.service}\n"
        (system / self._file).write_text(text)
        wanted.unlink(missing_ok=True)
        wanted.symlink_to(f"../{self._file}")

    def begin(self, sandbox: Sandbox, vm_id: str) -> None:
        """Begin the fault on a machine that is there."""
        disk, systemctl = _inside(sandbox, vm_id)
        self.write(disk)
        if systemctl:
            run([*systemctl, "daemon-reload"])
        if systemctl and not self.at_boot:
            run([*systemctl, "restart", self._file])

    def end(self, sandbox: Sandbox, vm_id: str) -> None:
        """End the fault: what it did is undone, and it does not come back with the next boot."""
        disk, systemctl = _inside(sandbox, vm_id)
        system = disk / "etc/systemd/system"
        if systemctl and (system / self._file).exists():
            run([*systemctl, "stop", self._file])
        (system / "multi-user.target.wants" / self._file).unlink(missing_ok=True)
        (system / self._file).unlink(missing_ok=True)
        if systemctl:
            run([*systemctl, "daemon-reload"])


def _inside(sandbox: Sandbox, vm_id: str) -> tuple[Path, list[str]]:
    """The machine's disk, and the start of a systemctl command in it; [] for one that is off.

    One that is booting is waited for: its disk may only be changed from inside. Raises SandboxError.
    """
    directory = sandbox.machine_directory(vm_id)
    seconds = _BOOT_SECONDS + distance.of(sandbox.root).reboot
    deadline = time.monotonic() + seconds
    while machine.status(sandbox, vm_id) is MachineStatus.RUNNING:
        leader = ProcessId.read(directory / "leader.pid")
        if leader is not None:
            inside = ["nsenter", f"--target={leader.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "systemctl"]
            with suppress(SandboxError):  # its systemd does not listen yet, or it just went down
                run([*inside, "show", "--property=Version"])
                return Path(f"/proc/{leader.pid}/root"), inside
        if time.monotonic() > deadline:
            raise SandboxError(f"machine {vm_id}: its systemd has not answered for {seconds:g} s")
        time.sleep(0.2)
    return directory / "upper", []


def _shell(*lines: str) -> str:
    script = "; ".join(lines).replace("$", "$$").replace("%", "%%")
    return f'/bin/sh -c "{script}"'


def _not_again(name: str) -> str:
    """Keep the unit from starting with the next boot."""
    return f"rm -f /etc/systemd/system/multi-user.target.wants/fault-{name}.service"


_ONCE = "Type=oneshot\nRemainAfterExit=yes\n"
UNITS = {
    unit.name: unit
    for unit in (
        Unit(name="apt-lock", service=f'Type=exec\nExecStart=/usr/bin/python3 -c "{_LOCK}"'),
        Unit(
            name="disk-full",
            order="DefaultDependencies=no\nAfter=local-fs.target\nBefore=cloud-init.service",
            service=f"{_ONCE}ExecStart=/bin/mount -t tmpfs -o size=1m,mode=0755 tmpfs {_ARCHIVES}\n"
            f"ExecStop=/bin/umount -l {_ARCHIVES}",
        ),
        Unit(
            name="state-disk-full",
            service=_ONCE
            + "ExecStart="
            + _shell(
                f"mkdir -p {_RECORDS} /run/fault-records",
                f"cp -a {_RECORDS}/. /run/fault-records",
                f"mount -t tmpfs -o size=256k,mode=0755 tmpfs {_RECORDS}",
                # Every record, but not the folder of a download under way, which is larger than this disk.
                f"find /run/fault-records -maxdepth 1 -type f -exec cp -a -t {_RECORDS} {{}} +",
                f"cat /dev/zero >{_RECORDS}/filling",
                "true",
            )
            + f"\nExecStop=/bin/umount -l {_RECORDS}",
        ),
        Unit(name="slow-boot", order="Before=ssh.service", service=f"{_ONCE}ExecStart=/bin/sleep 15", at_boot=True),
        Unit(
            name="ssh-drops",
            service="Type=exec\nExecStart="
            + _shell(f"until {_SESSION} && kill -9 $pid", "do sleep 0.1", "done", _not_again("ssh-drops")),
        ),
        Unit(
            name="reboot",
            service="Type=exec\nExecStart="
            + _shell(
                f"until {_SESSION}",
                "do sleep 0.1",
                "done",
                _not_again("reboot"),
                "sync",
                "systemctl reboot --force --force",
            ),
        ),
        Unit(
            name="wrong-host-key",
            order="After=cloud-init.service\nBefore=ssh.service",
            service=_ONCE
            + "ExecStart="
            + _shell(
                f"[ -e {_KEY}.right ] || cp -a {_KEY} {_KEY}.right",
                f"rm -f {_KEY} {_KEY}.pub",
                f"ssh-keygen -q -t ed25519 -N '' -f {_KEY}",
                "systemctl try-restart --no-block ssh.service",
            )
            + "\nExecStop="
            + _shell(f"mv -f {_KEY}.right {_KEY}", "systemctl try-restart --no-block ssh.service"),
        ),
        Unit(
            name="instance-busy",
            order="After=mig-k8s-instances.service",
            service=_ONCE
            + "ExecStart="
            + _shell("mkdir -p /run/gpu/clients", "nvidia-smi -L | grep -o 'MIG-[0-9a-f-]*' >/run/gpu/clients/fault")
            + "\nExecStop=/bin/rm -f /run/gpu/clients/fault",
        ),
    )
}
