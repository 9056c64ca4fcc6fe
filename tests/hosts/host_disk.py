"""The disks of a stock Debian host: its root, and one with the cache, so that nothing has to be built in an emulator.

It is built in a container of that host's root, at this processor's speed, as far as this host's cache does not have it
already. The cache lies at the same path as here, because a virtual environment holds its own path.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox import builds, cache
from sandbox.debian import packages
from sandbox.tools import go_toolchain
from sandbox.virtualenv import CHECKOUT as OURS

PERSON = "ada"
CHECKOUT = f"/home/{PERSON}/mig-k8s"
_NEEDED = ("git", "make", "python3", "python3-venv", "sudo")
"""What sandbox/README.md wants of a host, and the package that Debian has apart from its Python."""
_BOOTS = ("dbus", "iproute2", "linux-image-amd64", "openssh-server", "systemd-resolved", "systemd-sysv", "udev")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_NOT_TAKEN = ("python", "pycache", "pytest", "mypy", "ruff", "hypothesis")
_ROOT_GB, _CACHE_GB = 8, 12


@dataclass(frozen=True)
class Disks:
    """The disks of a host that has not booted yet."""

    kernel: Path
    initial_memory_disk: Path
    root: Path
    cache: Path


def make(folder: Path, suite: str, public_key: str) -> Disks:
    """Root alone can: files on both disks have owners."""
    builds.for_machines()
    tree = folder / "tree"
    included = ",".join([*_NEEDED, *_BOOTS, *sorted(set(packages.FOR_MACHINES.values()))])
    options = ["--variant=apt", "--format=directory", "--dpkgopt=force-unsafe-io", "--quiet"]
    _run("mmdebstrap", *options, f"--include={included}", suite, str(tree))
    _settle(tree, public_key)
    root, kept = folder / "root.img", folder / "cache.img"
    _disk(tree, root, _ROOT_GB)
    filled = folder / "cache"
    _fill(filled, owner=(tree / "home" / PERSON).stat())
    _build_the_rest(filled, tree)
    _disk(filled, kept, _CACHE_GB)
    shutil.rmtree(filled)
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    memory_disk = kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img"))
    return Disks(kernel, memory_disk, root, kept)


def _fill(filled: Path, owner: os.stat_result) -> None:
    """All that is built, of which the person owns what they would have built; the image of machines has owners."""
    filled.mkdir()
    for kept in cache.root().iterdir():
        if kept.name not in _NOT_TAKEN:
            _run("cp", "--archive", str(kept), str(filled))
            deep = [] if kept.name == "machine-image" else ["--recursive"]
            _run("chown", *deep, "--no-dereference", f"{owner.st_uid}:{owner.st_gid}", str(filled / kept.name))
    os.chown(filled, owner.st_uid, owner.st_gid)


def _build_the_rest(filled: Path, tree: Path) -> None:
    """Build what is another thing on that host: what has its Python, its C library or its packages in it."""
    certificates = tree / str(_CERTIFICATES).lstrip("/")
    certificates.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_CERTIFICATES, certificates)
    places = f"XDG_CACHE_HOME={cache.root().parent} PIP_CERT={_CERTIFICATES}"
    inner = f"cd {CHECKOUT} && venv=$({places} python3 -m sandbox.virtualenv)"
    inner += f' && exec sudo {places} "$venv/bin/python" -m sandbox build machines'
    container = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--as-pid2", "--hostname=host"]
    seen = ["--resolv-conf=replace-host", f"--bind={filled}:{cache.root()}", f"--directory={tree}"]
    _run(*container, *seen, f"--user={PERSON}", "sh", "-c", inner)


def _settle(tree: Path, public_key: str) -> None:
    """A person who may use sudo, a network, the cache's disk, and what is checked out at HEAD."""
    _run("chroot", str(tree), "useradd", "--create-home", "--shell", "/bin/bash", PERSON)
    home = tree / "home" / PERSON
    files = {
        "etc/hostname": "host\n",
        "etc/hosts": "127.0.0.1 localhost host\n",
        "etc/fstab": f"/dev/vda / ext4 defaults 0 1\n/dev/vdb {cache.root()} ext4 defaults 0 2\n",
        "etc/systemd/network/wired.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
        f"etc/sudoers.d/{PERSON}": f"{PERSON} ALL=(ALL) NOPASSWD:ALL\n",
        f"home/{PERSON}/.ssh/authorized_keys": public_key,
    }
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for place in reversed([cache.root(), *cache.root().parents]):
        inside = tree / str(place).lstrip("/")
        inside.mkdir(exist_ok=True)
        inside.chmod(inside.stat().st_mode | 0o111)  # the person passes through, be it root's home
    _run("chroot", str(tree), "systemctl", "enable", "--quiet", "systemd-networkd", "systemd-resolved")
    go = go_toolchain.go().program.resolve().parent.parent
    if not go.is_relative_to(cache.root()):
        shutil.copytree(go, tree / str(go).lstrip("/"), symlinks=True)
    checkout = tree / CHECKOUT.lstrip("/")
    checkout.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=OURS, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "--extract", "--directory", str(checkout)], input=archive, check=True)
    _run("chroot", str(tree), "chown", "--recursive", f"{PERSON}:{PERSON}", f"/home/{PERSON}")
    (home / ".ssh/authorized_keys").chmod(0o600)


def _disk(tree: Path, image: Path, size: int) -> None:
    owner = f"root_owner={tree.stat().st_uid}:{tree.stat().st_gid}"
    _run("mke2fs", "-q", "-t", "ext4", "-E", owner, "-d", str(tree), str(image), f"{size}G")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
