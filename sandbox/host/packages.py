"""Debian packages that the host needs: for a sandbox with machines, and for what is built with C."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from sandbox.error import SandboxError
from sandbox.progress import say, step

FOR_C = {"gcc": "build-essential"}
"""Program → the package that has it, for the driver's library."""
FOR_MACHINES = {
    **FOR_C,
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "busybox": "busybox-static",
    "apt-ftparchive": "apt-utils",
    "gpg": "gpg",
    "ssh-keygen": "openssh-client",
    "openssl": "openssl",
    "ip": "iproute2",
}
"""For everything else that machines are made with, too."""


def missing(needed: Mapping[str, str]) -> list[str]:
    """The packages of `needed` whose program is not here."""
    return [package for program, package in needed.items() if shutil.which(program) is None]


def install_missing(needed: Mapping[str, str]) -> None:
    """Install what is missing with apt-get, after saying so. Raises SandboxError where that is not possible."""
    packages = missing(needed)
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
    if rest := missing(needed):
        raise SandboxError(f"apt-get installed {wanted}, yet still missing: {' '.join(rest)}")
