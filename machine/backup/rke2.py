"""RKE2 as a backup and a restore use it: its snapshots, its service, and the token on this machine."""

import os
import re
from pathlib import Path

from machine.documents.backup import digest_of
from machine.documents.configuration import RKE2_CONFIG_PATH, RKE2_TOKEN_PATH
from machine.host.console import one_line
from machine.host.errors import NodeError, UsageError
from machine.host.this_machine import ThisMachine
from machine.update import rke2_upgrade

SERVER, AGENT = "rke2-server.service", "rke2-agent.service"
DATA = "/var/lib/rancher/rke2/server/db"
_START_SECONDS = 1200
_STOP_SECONDS = 300
_SNAPSHOT_SECONDS = 300


def save(machine: ThisMachine, name: str) -> Path:
    """A fresh snapshot of etcd, the only one of this name that is kept. Raises NodeError with RKE2's words."""
    rke2 = rke2_upgrade.program(machine)
    saved = machine.run(rke2, "etcd-snapshot", "save", "--name", name, seconds=_SNAPSHOT_SECONDS)
    if not saved.succeeded:
        raise NodeError(f"no snapshot of etcd could be saved: {one_line(saved.stderr + saved.stdout)}")
    found = sorted(snapshots(machine).glob(f"{name}-*"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise NodeError(f"RKE2 says that it saved a snapshot, and {snapshots(machine)} has none of the name {name}")
    machine.run(rke2, "etcd-snapshot", "prune", "--name", f"{name}-", "--snapshot-retention", "1", seconds=60)
    return found[-1]


def snapshots(machine: ThisMachine) -> Path:
    """The folder of its snapshots."""
    path = machine.path(RKE2_CONFIG_PATH)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    chosen = re.search(r"^etcd-snapshot-dir: *[\"']?([^\"'\n]+)", text, re.MULTILINE)
    return machine.path(chosen[1]) if chosen else machine.path(DATA) / "snapshots"


def start(machine: ThisMachine, unit: str) -> None:
    """Start RKE2 and wait until it is ready. Raises NodeError."""
    _control(machine, "start", unit, _START_SECONDS)


def restart(machine: ThisMachine, unit: str) -> None:
    """Restart RKE2 and wait until it is ready again; its pods go on. Raises NodeError."""
    _control(machine, "restart", unit, _START_SECONDS)


def stop(machine: ThisMachine, unit: str) -> None:
    """Stop RKE2; its pods go on. Raises NodeError."""
    _control(machine, "stop", unit, _STOP_SECONDS)


def require_token(machine: ThisMachine, digest: str) -> None:
    """Check that this server has the token of the snapshot. Raises NodeError where it has another one."""
    path = machine.path(RKE2_TOKEN_PATH)
    if not path.exists():
        raise UsageError(f"{path} is missing: this server was not brought up yet. `pulumi up` first")
    if digest_of(path.read_text(encoding="utf-8")) != digest:
        raise NodeError(
            "nothing was changed: this server has another token than the snapshot, which only its own token opens."
            " `make restore` with TAKE_TOKEN=1 makes it the stack's, `pulumi up` takes it to the machines"
        )


def without_server(config: str) -> str:
    """RKE2's configuration without the server to join."""
    return re.sub(r"^server: .*\n", "", config, flags=re.MULTILINE)


def rename(old: Path, new: Path) -> None:
    """Rename in one step, also on the disk: after a power cut there is one of the two names."""
    old.rename(new)
    folder = os.open(new.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _control(machine: ThisMachine, verb: str, unit: str, seconds: float) -> None:
    ended = machine.systemctl(verb, unit, seconds=seconds)
    if not ended.succeeded:
        raise NodeError(
            f"`systemctl {verb} {unit}` failed: {one_line(ended.stderr)}. `journalctl -u {unit}` there tells why;"
            " run the same command again, it goes on"
        )
