"""Machines: systemd-nspawn booting the image from the very custom data Azure would give it.

A machine lives in ``root/machines/<vm_id>``: ``upper`` (its disk over the image), ``hardware`` (what is plugged in),
``volumes`` (folders that must not be on an overlay), ``console.log``, pid files of supervisor, nspawn and init.
"""

import json
import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from sandbox import cache, distance, network
from sandbox.error import SandboxError
from sandbox.host import cgroup, image, kernel_limits
from sandbox.instance import Sandbox
from sandbox.mirror import apt_keys
from sandbox.mirror.apt_repositories import UBUNTU_KEYRING, ubuntu_sources
from sandbox.process import ProcessId, detach, run

_VOLUMES = {"rancher": "/var/lib/rancher", "kubelet": "/var/lib/kubelet"}
"""containerd cannot put its overlays on an overlay, and etcd is quicker without."""

_START_SECONDS = 30
_SYSCALLS = "@mount @keyring bpf perf_event_open"  # what containerd, runc and the kubelet need beyond nspawn's own list


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSpec:
    """``custom_data`` is decoded; ``private_address`` has a prefix length (10.60.0.4/24), ``public_address`` none.

    ``gpus``: objects of hardware/gpus.json: index, model, uuid, pci_bus_id.
    """

    vm_id: str
    name: str
    custom_data: bytes
    admin_username: str
    public_key: str
    private_address: str
    public_address: str
    gpus: tuple[Mapping[str, object], ...] = ()


class MachineStatus(StrEnum):
    ABSENT = "absent"
    OFF = "off"
    RUNNING = "running"


def obstacle(where: Path | None = None) -> str | None:
    """Why no machine can boot here, in one line; None if nothing stands in the way. ``where`` would hold it."""
    if os.geteuid() != 0:
        return "not root: namespaces and mounts need it. Use sudo"
    if platform.machine() != "x86_64":
        return f"the machines are amd64, and this host is {platform.machine()}"
    for program, package in (("systemd-nspawn", "systemd-container"), ("mmdebstrap", "mmdebstrap"), ("ip", "iproute2")):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian package {package})"
    with tempfile.TemporaryDirectory(dir=where, prefix="mig-k8s-probe-") as probe:
        for folder in ("lower", "upper", "work", "merged"):
            (Path(probe) / folder).mkdir()
        layers = f"lowerdir={probe}/lower,upperdir={probe}/upper,workdir={probe}/work"
        attempt = ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private"]
        try:
            run([*attempt, "mount", "-t", "overlay", "overlay", "-o", layers, f"{probe}/merged"])
        except SandboxError as refusal:
            return f"namespaces or overlay mounts are refused: {str(refusal).splitlines()[-1]}"
    return None


def start(sandbox: Sandbox, spec: MachineSpec) -> None:
    """Boot the machine and return when its init runs; its cloud-init and sshd come a few seconds later.

    With a network profile it boots after the time that the cloud takes, whether or not who asked still lives then.
    A machine that is off boots again from its own disk. Raises SandboxError if it runs already or does not start.
    """
    if status(sandbox, spec.vm_id) is MachineStatus.RUNNING:
        raise SandboxError(f"machine {spec.name} ({spec.vm_id}) is running already")
    directory = sandbox.machine_directory(spec.vm_id)
    _end_processes(sandbox, spec.vm_id)
    kernel_limits.raise_inotify()
    network.up(sandbox)
    namespace = network.connect(sandbox, spec.vm_id, private=spec.private_address, public=spec.public_address)
    if not (directory / "machine.json").exists():  # written last: without it, what is here is half made
        shutil.rmtree(directory, ignore_errors=True)
        _make_disk(sandbox, spec, directory)
    _write(directory / "hardware/gpus.json", json.dumps(list(spec.gpus), indent=2) + "\n", 0o644)
    group = sandbox.machine_namespace(spec.vm_id)
    cgroup.create(group)
    login = {"name": spec.name, "address": spec.public_address, "user": spec.admin_username}
    description = {"lower": str(image.rootfs()), "argv": _argv(spec, directory, namespace), "cgroup": group}
    _write(directory / "machine.json", json.dumps(login | description, indent=2) + "\n", 0o600)
    detach(
        "sandbox.host.supervisor",
        [str(directory)],
        log=directory / "console.log",
        wrapper=["unshare", "--mount", "--propagation", "slave"],
        timeout=_START_SECONDS + distance.of(sandbox.root).machine,
    )


def power_off(sandbox: Sandbox, vm_id: str) -> None:
    """End the machine at once and take it from the network: its addresses do not answer any more. Its disk stays."""
    _end_processes(sandbox, vm_id)
    cgroup.remove(sandbox.machine_namespace(vm_id))
    network.disconnect(sandbox, vm_id)


def stop(sandbox: Sandbox, vm_id: str) -> None:
    """End the machine and forget it: processes, control group, namespace, directory. It is fine if there is none."""
    power_off(sandbox, vm_id)
    directory = sandbox.machine_directory(vm_id)
    if directory.exists():
        cache.remove(directory)


def status(sandbox: Sandbox, vm_id: str) -> MachineStatus:
    directory = sandbox.machine_directory(vm_id)
    if not directory.exists():
        return MachineStatus.ABSENT
    alive = any(ProcessId.read(directory / name) for name in ("supervisor.pid", "leader.pid"))
    return MachineStatus.RUNNING if alive else MachineStatus.OFF


def reboot(sandbox: Sandbox, vm_id: str) -> None:
    """Ask the machine's init for a reboot, as the hypervisor's button would. Returns at once."""
    leader = ProcessId.read(sandbox.machine_directory(vm_id) / "leader.pid")
    if leader is None:
        raise SandboxError(f"machine {vm_id} is not running")
    leader.send(signal.SIGRTMIN + 5)


def _end_processes(sandbox: Sandbox, vm_id: str) -> None:
    """The supervisor first (it would boot again), then init, with which the kernel ends the others, then any rest."""
    directory, name = sandbox.machine_directory(vm_id), sandbox.machine_namespace(vm_id)
    supervisor = ProcessId.read(directory / "supervisor.pid")
    if supervisor is not None:
        supervisor.send(signal.SIGTERM)  # it waits for systemd-nspawn, so that no zombie is left to a careless init
        if not supervisor.wait(10):
            supervisor.kill()
    for file in ("nspawn.pid", "leader.pid"):
        if (process := ProcessId.read(directory / file)) is not None:
            process.kill()
    deadline = time.monotonic() + 10
    while members := cgroup.processes(name) | network.processes(name):
        for member in members:
            if (process := ProcessId.of(member)) is not None:
                process.kill()
        time.sleep(0.02)  # the kernel forgets a dead process a moment later
        if time.monotonic() > deadline:
            raise SandboxError(f"machine {vm_id}: processes {sorted(members)} did not end within 10 s of SIGKILL")


def _make_disk(sandbox: Sandbox, spec: MachineSpec, directory: Path) -> None:
    for folder in ("upper", "work", "merged", "hardware", *(f"volumes/{name}" for name in _VOLUMES)):
        (directory / folder).mkdir(parents=True)
    directory.chmod(0o700)  # the custom data holds the host key
    (directory / "upper").chmod(0o755)  # becomes the machine's /
    _write(directory / "hardware/product_name", "Virtual Machine\n", 0o644)  # what Azure's firmware says

    disk = directory / "upper"
    seed = disk / "var/lib/cloud/seed/nocloud"
    keys = [spec.public_key.strip()]
    _write(
        seed / "meta-data",
        yaml.safe_dump({"instance-id": spec.vm_id, "local-hostname": spec.name, "public-keys": keys}),
    )
    _write(seed / "user-data", spec.custom_data, 0o600)
    admin = {"name": spec.admin_username, "lock_passwd": True, "shell": "/bin/bash"}
    admin |= {"groups": ["adm", "sudo"], "sudo": ["ALL=(ALL) NOPASSWD:ALL"]}
    _write(disk / "etc/cloud/cloud.cfg.d/91-admin.cfg", yaml.safe_dump({"system_info": {"default_user": admin}}))
    _write(disk / "etc/apt/sources.list", ubuntu_sources(sandbox.mirror_url))
    _write(disk / UBUNTU_KEYRING.lstrip("/"), apt_keys.public("ubuntu"))
    for part, place in (("disk", disk), ("hardware", directory / "hardware")):  # see sandbox.faults
        if (faults := sandbox.root / "faults" / part).exists():
            shutil.copytree(faults, place, symlinks=True, dirs_exist_ok=True)
    mirrors = {"mirrors": {"*": {"endpoint": [sandbox.mirror_url]}}}
    _write(disk / "etc/rancher/rke2/registries.yaml", yaml.safe_dump(mirrors), 0o600)


def _argv(spec: MachineSpec, directory: Path, namespace: str) -> list[str]:
    volumes = [f"--bind={directory / 'volumes' / name}:{place}" for name, place in _VOLUMES.items()]
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={directory / 'merged'}",
        f"--machine={namespace}",
        f"--hostname={spec.name}",
        "--register=no",
        "--keep-unit",
        "--console=read-only",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        f"--network-namespace-path={network.path(namespace)}",
        "--capability=all",
        f"--system-call-filter={_SYSCALLS}",
        "--bind=/dev/kmsg",
        f"--bind={directory / 'hardware'}:/hardware",
        *volumes,
    ]


def _write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Whole or not at all, and never readable for others before its mode is set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.touch(mode=0o600)
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.chmod(mode)
    draft.replace(path)
