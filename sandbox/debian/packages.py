"""Debian packages that the host needs: for a sandbox with machines, and for what is built with C.

Their names are the same in Debian 12 and 13 and in Ubuntu 22.04 and 24.04.
"""

import os
import shutil
from collections.abc import Iterable, Mapping

from sandbox.debian import apt
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
    "gpg-agent": "gpg-agent",  # gpg makes and uses no key without it, and only recommends it
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
    if packages := missing(needed):
        install(packages)
        if rest := missing(needed):
            raise SandboxError(f"apt-get installed {' '.join(packages)}, yet still missing: {' '.join(rest)}")


def install(packages: Iterable[str]) -> None:
    """Install them with apt-get, after saying so. Raises SandboxError where that is not possible."""
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SandboxError(
            f"what these packages of Debian hold is missing: {wanted}. This host has no apt-get to install them with:"
            " use Debian 12 or 13, or Ubuntu 22.04 or 24.04"
        )
    if os.geteuid() != 0:
        raise SandboxError(f"these packages are missing, and only root may install them: sudo apt-get install {wanted}")
    say(f"installing with apt-get: {wanted}")
    with step("apt-get", "about 30 s"):
        complaint = ""
        try:
            complaint = apt.get("update")
        except SandboxError as error:  # one archive that cannot be reached need not matter
            complaint = str(error)
        try:
            apt.get("install", "--yes", "--no-install-recommends", *wanted.split())
        except SandboxError as error:
            before = f"\nbefore it, apt-get update said:\n{complaint}" if complaint else ""
            raise SandboxError(f"{wanted} could not be installed: {error}{before}") from None
