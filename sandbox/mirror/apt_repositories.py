"""The apt repositories of the mirror: NVIDIA's packages by name, version and dependencies, holding our programs.

Two repositories with a key each, as in the world: /ubuntu (driver) is the only apt source of a machine, /toolkit is the
flat repository of the container toolkit with its ``gpgkey``.
"""

import os
import shutil
from pathlib import Path

from sandbox.cache import cached, digest
from sandbox.debian.archive import Archive
from sandbox.mirror import apt_keys, nvidia_packages, packages
from sandbox.mirror.nvidia_packages import (
    OLDER_DRIVER_VERSION,
    TOOLKIT_VERSIONS,
    driver_packages,
    module_packages,
    toolkit_packages,
)
from sandbox.mirror.packages import Ours, build_package
from sandbox.process import run

UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
_COMPONENTS = ("main", "restricted", "universe", "multiverse")
_OURS = "restricted"
"""The component that has NVIDIA's driver; the others, and the suites of updates, are there and empty."""


def publish(mirror: Path, ours: Ours) -> None:
    """Put /ubuntu and /toolkit into the tree of a mirror."""
    kernel = os.uname().release
    modules = (__file__, packages.__file__, nvidia_packages.__file__)
    sources = [Path(file).read_bytes() for file in modules]
    key = digest(
        *sources,
        ours.gpu.read_bytes(),
        ours.library.read_bytes(),
        ours.toolkit.name,  # the key of what it was built from
        kernel,
        *Archive.of_the_host().suites,
        *map(apt_keys.fingerprint, apt_keys.REPOSITORIES),
    )
    built = cached("apt-repositories", key, lambda draft: _build(draft, ours, kernel), expected="about 5 s")
    for repository in apt_keys.REPOSITORIES:
        shutil.rmtree(mirror / repository, ignore_errors=True)
        shutil.copytree(built / repository, mirror / repository)


def ubuntu_sources(mirror_url: str, keyring: str = UBUNTU_KEYRING) -> str:
    """The sources.list that makes /ubuntu the machine's apt source, its key in the lines' own keyring."""
    suites = Archive.of_the_host().suites
    return "".join(
        f"deb [signed-by={keyring}] {mirror_url}/ubuntu {suite} {' '.join(_COMPONENTS)}\n" for suite in suites
    )


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
    release = (ubuntu / f"dists/{Archive.of_the_host().suite}/Release").read_text()
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
    apt_keys.sign(flat / "Release", "toolkit")
    (draft / "toolkit/gpgkey").write_text(apt_keys.armoured("toolkit"))


def _index(ubuntu: Path, more: dict[str, str]) -> None:
    """Lists and signature for what is in /ubuntu's pool; `more` are fields of its Release."""
    listed, release = _ftparchive(ubuntu, "packages", "pool"), Archive.of_the_host()
    shutil.rmtree(ubuntu / "dists", ignore_errors=True)
    for name in release.suites:
        suite = ubuntu / "dists" / name
        for component in _COMPONENTS:
            lists = suite / component / "binary-amd64"
            lists.mkdir(parents=True)
            (lists / "Packages").write_text(listed if (name, component) == (release.suite, _OURS) else "")
        names = {"Origin": "Ubuntu", "Label": "Ubuntu", "Suite": name, "Codename": release.suite}
        fields = names | {"Components": " ".join(_COMPONENTS), "Architectures": "amd64"} | more
        (suite / "Release").write_text(_release(suite, fields))
        apt_keys.sign(suite / "Release", "ubuntu")


def _release(folder: Path, fields: dict[str, str]) -> str:
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    return _ftparchive(folder, *options, "release", ".")


def _ftparchive(folder: Path, *arguments: str) -> str:
    """apt-ftparchive writes paths as it was given them: it must run in the repository."""
    return run(["env", f"--chdir={folder}", "apt-ftparchive", "-o", "APT::FTPArchive::DB=", *arguments])
