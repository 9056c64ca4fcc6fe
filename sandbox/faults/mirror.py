"""Faults of what a machine downloads: rules the mirror's server follows, and files it serves in place of its own."""

import json
from collections.abc import Callable
from pathlib import Path

from sandbox.mirror import apt_keys, apt_repositories
from sandbox.mirror.packages import Ours

ABOUT = {
    "package-missing": "the apt repository no longer has nvidia-utils-580-server",
    "fabric-manager-missing": "the apt repository has no nvidia-fabricmanager-580",
    "modules-stale": "the running kernel's driver modules in the apt repository were built for an older driver",
    "wrong-key": "the toolkit's repository shows another key than the one that was pinned",
    "download-cut": "the connection ends in the middle of RKE2's tarball",
    "checksum-wrong": "RKE2's tarball arrives with one byte changed",
}
_TARBALL = "/rke2/*/rke2.linux-amd64.tar.gz"
_UBUNTU: dict[str, Callable[[Path], None]] = {
    "package-missing": lambda ubuntu: apt_repositories.take_out(ubuntu, "nvidia-utils-580-server"),
    "fabric-manager-missing": lambda ubuntu: apt_repositories.take_out(ubuntu, "nvidia-fabricmanager-580"),
    "modules-stale": lambda ubuntu: apt_repositories.let_modules_be_older(ubuntu, Ours.built()),
}
"""Faults of /ubuntu: what is done to its tree."""


def write(folder: Path, names: set[str], *, final: Path) -> None:
    """``mirror.json`` and its files in ``folder``, which will be moved to ``final``: pattern of a path → what to do."""
    rules: dict[str, str] = {}
    if names & set(_UBUNTU):
        apt_repositories.publish(folder, Ours.built())
        for name in sorted(names & set(_UBUNTU)):
            _UBUNTU[name](folder / "ubuntu")
        rules["/ubuntu/*"] = str(final)
    if "wrong-key" in names:
        (folder / "toolkit").mkdir(exist_ok=True)
        (folder / "toolkit/gpgkey").write_text(apt_keys.armoured("ubuntu"))
        rules["/toolkit/gpgkey"] = str(final)
    if "download-cut" in names:
        rules[_TARBALL] = "cut"
    elif "checksum-wrong" in names:
        rules[_TARBALL] = "damage"
    (folder / "mirror.json").write_text(json.dumps(rules, indent=2) + "\n")
