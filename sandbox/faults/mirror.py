"""Faults of what a machine downloads: rules the mirror's server follows, and files it serves in place of its own."""

import json
from pathlib import Path

from sandbox.mirror import packages
from sandbox.tools import toolchain

ABOUT = {
    "package-missing": "the apt repository no longer has nvidia-utils-580-server",
    "wrong-key": "the toolkit's repository shows another key than the one that was pinned",
    "download-cut": "the connection ends in the middle of RKE2's tarball",
    "checksum-wrong": "RKE2's tarball arrives with one byte changed",
}
_TARBALL = "/rke2/*/rke2.linux-amd64.tar.gz"
_MISSING = "nvidia-utils-580-server"


def write(folder: Path, names: set[str], *, final: Path) -> None:
    """``mirror.json`` and its files in ``folder``, which will be moved to ``final``: pattern of a path → what to do."""
    rules: dict[str, str] = {}
    if "package-missing" in names:
        packages.publish(folder, toolchain.gpu())
        packages.take_out(folder / "ubuntu", _MISSING)
        rules["/ubuntu/*"] = str(final)
    if "wrong-key" in names:
        (folder / "toolkit").mkdir(exist_ok=True)
        (folder / "toolkit/gpgkey").write_text(packages.ubuntu_key())
        rules["/toolkit/gpgkey"] = str(final)
    if "download-cut" in names:
        rules[_TARBALL] = "cut"
    elif "checksum-wrong" in names:
        rules[_TARBALL] = "damage"
    (folder / "mirror.json").write_text(json.dumps(rules, indent=2) + "\n")
