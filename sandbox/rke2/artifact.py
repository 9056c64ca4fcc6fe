"""RKE2's release as the mirror serves it: for each version the tarball and its checksum.

runc and the CNI plugins are Debian's; the Kubernetes programs, etcd and containerd are built from their Go modules.
"""

import gzip
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.mirror import registry
from sandbox.process import run
from sandbox.rke2.node import images
from sandbox.tools import toolchain

VERSION = "v1.36.4+rke2r1"
TARBALL, CHECKSUMS = "rke2.linux-amd64.tar.gz", "sha256sum-amd64.txt"
PAUSE_IMAGE = "docker.io/rancher/mirrored-pause:3.6"
DEBIAN_PACKAGES = ("runc", "containernetworking-plugins")

_HERE = Path(__file__).parent
_KUBERNETES = ("kube", "kubectl")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2")
_CIS_SETTINGS = "rke2-cis-sysctl.conf"
_CNI_PLUGINS = ("bridge", "host-local", "loopback")


def publish(mirror: Path, kubernetes: Path, version: str = VERSION) -> None:
    """Put /rke2 and RKE2's images into a mirror's tree. `kubernetes`: the directory with its programs."""
    release = mirror / "rke2" / version
    release.parent.mkdir(parents=True, exist_ok=True)
    release.unlink(missing_ok=True)
    release.symlink_to(artifact(kubernetes, version))
    registry.publish_pause(mirror, PAUSE_IMAGE)
    for image in images.of(version):
        registry.publish_name(mirror, f"docker.io/{image}")


def publish_install_script(mirror: Path) -> None:
    """Put /rke2/install.sh into a mirror's tree, which programs run that are older than ADR 0028."""
    shutil.copy(_HERE / "install.sh", mirror / "rke2/install.sh")


def artifact(kubernetes: Path, version: str = VERSION) -> Path:
    """The directory with the tarball and its checksum, from the cache or made."""
    ours = digest_of_files(_HERE, (path for path in _HERE.rglob("*") if path.is_file() and path.suffix != ".pyc"))
    containerd = toolchain.containerd()
    folders = dict.fromkeys(_KUBERNETES, kubernetes) | dict.fromkeys(_CONTAINERD, containerd)
    programs = {name: folder / name for name, folder in folders.items()}
    key = digest(ours, kubernetes.name, containerd.name, version)  # their names say what they were built from
    return cached("rke2", key, lambda draft: _build(draft, programs, version), expected="about 10 s")


def tarball_checksum(release: Path) -> str:
    """The SHA-256 of a release's tarball, as its own list has it."""
    return (release / CHECKSUMS).read_text().split()[0]


def _build(draft: Path, programs: Mapping[str, Path], version: str) -> None:
    with tempfile.TemporaryDirectory(dir=draft) as folder:
        debian = _unpacked_packages(Path(folder))
        share = Path("share/rke2")
        content = {share / "bin" / name: path for name, path in programs.items()}
        content[share / "bin/runc"] = debian / "usr/sbin/runc"
        content |= {share / "cni" / name: debian / "usr/lib/cni" / name for name in _CNI_PLUGINS}
        content[share / _CIS_SETTINGS] = _HERE / _CIS_SETTINGS
        content |= {Path("bin/rke2"): toolchain.rke2(version), share / "main": _HERE / "main"}
        content |= {share / "node" / path.name: path for path in (_HERE / "node").glob("*.py")}
        content |= {Path("bin") / path.name: path for path in (_HERE / "bin").iterdir()}
        content |= {Path("lib/systemd/system") / path.name: path for path in (_HERE / "units").iterdir()}
        version_file = Path(folder) / "version"
        version_file.write_text(version + "\n")
        content[share / "version"] = version_file
        _write_tarball(draft / TARBALL, content)
    with (draft / TARBALL).open("rb") as tarball:
        checksum = hashlib.file_digest(tarball, "sha256").hexdigest()
    (draft / CHECKSUMS).write_text(f"{checksum}  {TARBALL}\n")


def _unpacked_packages(folder: Path) -> Path:
    """Debian's packages as this host's apt knows them, without installing them."""
    run(["env", f"--chdir={folder}", "apt-get", "-qq", "download", *DEBIAN_PACKAGES], timeout=300)
    tree = folder / "tree"
    for package in sorted(folder.glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(tree)])
    return tree


def _write_tarball(target: Path, content: dict[Path, Path]) -> None:
    """`content`: path in the tarball → file. The same files make the same bytes."""
    with gzip.GzipFile(target, "wb", compresslevel=1, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for path, source in sorted(content.items()):
            entry = tarfile.TarInfo(str(path))
            entry.size = source.stat().st_size
            entry.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
            with source.open("rb") as file:
                tar.addfile(entry, file)
