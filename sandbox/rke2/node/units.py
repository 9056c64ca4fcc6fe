"""The cluster's programs as systemd units of this machine, in /run: a reboot ends them and rke2 brings them back."""

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import paths, release
from .error import Rke2Error


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """`files` are what the program reads at its start only: when one changes, the program is restarted."""

    name: str
    command: tuple[str, ...]
    files: tuple[Path, ...] = ()
    user: str = "root"
    keeps_children: bool = False

    @property
    def service(self) -> str:
        return f"rke2-{self.name}.service"

    def text(self) -> str:
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in self.files)).hexdigest()
        lines = [
            "[Unit]",
            f"Description=RKE2: {self.name}",
            f"X-Files={digest}",
            "StartLimitIntervalSec=0",
            "[Service]",
            f"User={self.user}",
            f"Environment=PATH={paths.PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            # Another version is another program, and so a change.
            f"Environment=RKE2_KUBERNETES_VERSION={release.version()}",
            f"ExecStart={' '.join(_quoted(argument) for argument in self.command)}",
            "Restart=always",
            "RestartSec=1s",
            "LimitNOFILE=1048576",
            "TasksMax=infinity",
        ]
        if self.keeps_children:  # containerd's shims, and with them the pods, outlive it
            lines += ["Delegate=yes", "KillMode=process"]
        return "\n".join(lines) + "\n"


def start(units: Iterable[Unit]) -> None:
    """Start what does not run, restart what changed, leave the rest alone."""
    changed = []
    for unit in units:
        path = paths.UNITS / unit.service
        if not path.exists() or path.read_text() != unit.text():
            paths.write(path, unit.text(), 0o644)
            changed.append(unit.service)
    if changed:
        _systemctl("daemon-reload")
        _systemctl("restart", "--no-block", *changed)
    _systemctl("start", "--no-block", *(unit.service for unit in units))


def stop(units: Iterable[Unit]) -> None:
    """Stop those that are known to systemd and wait for them."""
    stop_by_name(*(unit.name for unit in units))


def stop_by_name(*names: str) -> None:
    """Stop those of these that are known to systemd, whatever they run, and wait for them."""
    known = [f"rke2-{name}.service" for name in names if (paths.UNITS / f"rke2-{name}.service").exists()]
    if known:
        _systemctl("stop", *known)


def last_words(unit: str, lines: int = 5) -> str:
    """The end of a unit's journal."""
    command = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit=rke2-{unit}.service"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Rke2Error(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")


def _quoted(argument: str) -> str:
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
