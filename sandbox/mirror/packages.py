"""The apt repositories of the mirror: NVIDIA's packages by name, version and dependencies, holding our programs.

Two repositories with a key each, as in the world: /ubuntu (driver) is the only apt source of a machine, /toolkit is the
flat repository of the container toolkit with its ``gpgkey``.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.cache import cached, digest
from sandbox.mirror import nvidia_packages
from sandbox.mirror.nvidia_packages import (
    LIBRARY,
    OLDER_DRIVER_VERSION,
    TOOLKIT_VERSIONS,
    Package,
    driver_packages,
    module_packages,
    toolkit_packages,
)
from sandbox.process import run
from sandbox.tools import toolchain

UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
_POCKETS = ("", "-updates", "-security")
_COMPONENTS = ("main", "restricted", "universe", "multiverse")
_OURS = "restricted"
"""The component that has NVIDIA's driver; the others, and the suites of updates, are there and empty."""


@dataclass(frozen=True)
class Ours:
    """What the packages hold: the GPU's program and the driver's library, ours, and NVIDIA's container toolkit."""

    gpu: Path
    library: Path
    toolkit: Path

    @classmethod
    def built(cls) -> "Ours":
        """As the toolchain builds them."""
        return cls(toolchain.gpu(), toolchain.nvml(), toolchain.container_toolkit())


def codename() -> str:
    """The release in /ubuntu: that of the machines, which is the host's."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def publish(mirror: Path, ours: Ours) -> None:
    """Put /ubuntu and /toolkit into the tree of a mirror."""
    kernel = os.uname().release
    sources = [Path(file).read_bytes() for file in (__file__, nvidia_packages.__file__)]
    key = digest(
        *sources,
        ours.gpu.read_bytes(),
        ours.library.read_bytes(),
        ours.toolkit.name,  # the key of what it was built from
        kernel,
        codename(),
        fingerprint("ubuntu"),
        fingerprint("toolkit"),
    )
    built = cached("apt-repositories", key, lambda draft: _build(draft, ours, kernel), expected="about 5 s")
    for repository in ("ubuntu", "toolkit"):
        shutil.rmtree(mirror / repository, ignore_errors=True)
        shutil.copytree(built / repository, mirror / repository)


def ubuntu_sources(mirror_url: str, keyring: str = UBUNTU_KEYRING) -> str:
    """The sources.list that makes /ubuntu the machine's apt source, its key in the lines' own keyring."""
    suites = [f"{codename()}{pocket}" for pocket in _POCKETS]
    return "".join(
        f"deb [signed-by={keyring}] {mirror_url}/ubuntu {suite} {' '.join(_COMPONENTS)}\n" for suite in suites
    )


def ubuntu_key() -> bytes:
    """The public key of /ubuntu: what the image's own keyring package would hold."""
    return (_keys() / "ubuntu.gpg").read_bytes()


def armoured_key(repository: str) -> str:
    """The public key of "ubuntu" or "toolkit", as text."""
    return (_keys() / f"{repository}.pub").read_text()


def toolkit_fingerprint() -> str:
    """Fingerprint of the key that signs /toolkit: 40 hexadecimal digits."""
    return fingerprint("toolkit")


def fingerprint(repository: str) -> str:
    return (_keys() / f"{repository}.fingerprint").read_text().strip()


def build_package(package: Package, ours: Ours, pool: Path) -> None:
    """One .deb in ``pool``."""
    control = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": "amd64",
        "Maintainer": "mig-k8s sandbox <sandbox@localhost>",
        "Section": "restricted/misc",
        "Depends": ", ".join(package.depends),
        "Conflicts": ", ".join(package.conflicts),
        "Description": f"the mig-k8s sandbox's: holds {package.holds}",
    }
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"

        def place(path: str) -> Path:
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            return target

        for path in package.programs:
            target = place(path)
            shutil.copyfile(ours.gpu, target)
            target.chmod(0o755)
        for path, source in package.of_the_toolkit.items():
            target = place(path)
            shutil.copyfile(ours.toolkit / source, target)
            target.chmod(0o644 if source.startswith("systemd/") else 0o755)
        if package.library:
            target = place(package.library)
            shutil.copyfile(ours.library, target)
            target.with_name(f"{LIBRARY}.1").symlink_to(target.name)
        for path, content in package.files.items():
            place(path).write_text(content)
        (tree / "DEBIAN").mkdir(parents=True)
        lines = "".join(f"{name}: {value}\n" for name, value in control.items() if value)
        (tree / "DEBIAN/control").write_text(lines)
        kept = [path for path in package.of_the_toolkit if path.startswith("/etc/")]  # as debhelper has it
        (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in kept))
        if package.after_installation:
            script = tree / "DEBIAN/postinst"
            script.write_text(f"#!/bin/sh\nset -e\n{package.after_installation}")
            script.chmod(0o755)
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(pool)])


def sign(release: Path, repository: str) -> None:
    """InRelease and Release.gpg beside ``release``, by the key of ``repository``."""
    with _keyring(_keys() / f"{repository}.sec") as gpg:
        sealed = release.with_name("InRelease")
        run([*gpg, "--yes", "--output", str(sealed), "--clearsign", str(release)])
        run([*gpg, "--yes", "--armor", "--output", f"{release}.gpg", "--detach-sign", str(release)])


def take_out(ubuntu: Path, name: str) -> None:
    """Take a package out of a published /ubuntu, as if it had never been there."""
    for package in (ubuntu / "pool").glob(f"{name}_*.deb"):
        package.unlink()
    _index_again(ubuntu)


def let_modules_be_older(ubuntu: Path, ours: Ours) -> None:
    """The running kernel's modules in a published /ubuntu are as they were built for an older driver."""
    for package in module_packages(os.uname().release, OLDER_DRIVER_VERSION):
        (ubuntu / "pool" / f"{package.name}_{package.version}_amd64.deb").unlink()
        build_package(package, ours, ubuntu / "pool")
    _index_again(ubuntu)


def _index_again(ubuntu: Path) -> None:
    # The date stays: apt takes an older Release than it knows for no news.
    release = (ubuntu / f"dists/{codename()}/Release").read_text()
    date = next(line for line in release.splitlines() if line.startswith("Date: "))
    _index(ubuntu, {"Date": date.removeprefix("Date: ")})


def _build(draft: Path, ours: Ours, kernel: str) -> None:
    ubuntu, flat = draft / "ubuntu", draft / "toolkit/stable/deb/amd64"
    pool = ubuntu / "pool"
    for folder in (pool, flat):
        folder.mkdir(parents=True)
    for package in driver_packages(kernel):
        build_package(package, ours, pool)
    for version in TOOLKIT_VERSIONS:
        for package in toolkit_packages(version):
            build_package(package, ours, flat)
    _index(ubuntu, {})
    (flat / "Packages").write_text(_ftparchive(flat, "packages", "."))
    (flat / "Release").write_text(_release(flat, {"Origin": "https://nvidia.github.io/libnvidia-container"}))
    sign(flat / "Release", "toolkit")
    (draft / "toolkit/gpgkey").write_text(armoured_key("toolkit"))


def _index(ubuntu: Path, more: dict[str, str]) -> None:
    """Lists and signature for what is in /ubuntu's pool; `more` are fields of its Release."""
    packages = _ftparchive(ubuntu, "packages", "pool")
    shutil.rmtree(ubuntu / "dists", ignore_errors=True)
    for pocket in _POCKETS:
        suite = ubuntu / f"dists/{codename()}{pocket}"
        for component in _COMPONENTS:
            lists = suite / component / "binary-amd64"
            lists.mkdir(parents=True)
            (lists / "Packages").write_text(packages if (pocket, component) == ("", _OURS) else "")
        names = {"Origin": "Ubuntu", "Label": "Ubuntu", "Suite": suite.name, "Codename": codename()}
        fields = names | {"Components": " ".join(_COMPONENTS), "Architectures": "amd64"} | more
        (suite / "Release").write_text(_release(suite, fields))
        sign(suite / "Release", "ubuntu")


def _release(folder: Path, fields: dict[str, str]) -> str:
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    return _ftparchive(folder, *options, "release", ".")


def _ftparchive(folder: Path, *arguments: str) -> str:
    """apt-ftparchive writes paths as it was given them: it must run in the repository."""
    return run(["env", f"--chdir={folder}", "apt-ftparchive", "-o", "APT::FTPArchive::DB=", *arguments])


def _keys() -> Path:
    """Public and secret halves of two throw-away keys, made once for each user."""
    return cached("apt-keys", digest("ed25519", "v2"), _make_keys)


def _make_keys(draft: Path) -> None:
    draft.chmod(0o700)
    for repository in ("ubuntu", "toolkit"):
        owner = f"mig-k8s sandbox {repository} repository"
        with _keyring() as gpg:
            run([*gpg, "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", "never"])
            listed = run([*gpg, "--with-colons", "--list-keys", owner])
            run([*gpg, "--output", str(draft / f"{repository}.gpg"), "--export"])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.pub"), "--export"])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.sec"), "--export-secret-keys"])
        number = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        (draft / f"{repository}.fingerprint").write_text(number + "\n")


@contextmanager
def _keyring(secret: Path | None = None) -> Iterator[list[str]]:
    """The start of a gpg command with a keyring of its own; its agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="mk8s-gpg-", dir="/tmp") as home:  # short: the agent has a socket there
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
        try:
            if secret is not None:
                run([*gpg, "--import", str(secret)])
            yield gpg
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "all"])
