"""Debian packages that a sandbox with machines needs on the host."""

import os
import shutil
import subprocess

from sandbox.error import SandboxError
from sandbox.progress import say, step

_NEEDED = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "busybox": "busybox-static",
    "apt-ftparchive": "apt-utils",
    "gpg": "gpg",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "ip": "iproute2",
    "gcc": "build-essential",
}
"""Program → the package that has it."""


def missing() -> list[str]:
    """Packages whose program is not here."""
    return [package for program, package in _NEEDED.items() if shutil.which(program) is None]


def install_missing() -> None:
    """Install what is missing with apt-get, after saying so. Raises SandboxError where that is not possible."""
    packages = missing()
    if not packages:
        return
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SandboxError(f"these Debian packages are missing: apt-get install {wanted}")
    say(f"installing with apt-get: {wanted}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step("apt-get", "about 30 s"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=120", *command],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and command != ["update"]:  # one unreachable source need not matter
                raise SandboxError(f"apt-get could not install {wanted}:\n{done.stderr.strip()[-1500:]}")
    if rest := missing():
        raise SandboxError(f"apt-get installed {wanted}, yet still missing: {' '.join(rest)}")
