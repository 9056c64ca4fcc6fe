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


def _write_another_key(folder: Path) -> None:
    (folder / "toolkit").mkdir(exist_ok=True)
    (folder / "toolkit/gpgkey").write_text(apt_keys.armoured("ubuntu"))


PACKAGES: dict[str, Callable[[Path], None]] = {
    "package-missing": lambda ubuntu: apt_repositories.take_out(ubuntu, "nvidia-utils-580-server"),
    "fabric-manager-missing": lambda ubuntu: apt_repositories.take_out(ubuntu, "nvidia-fabricmanager-580"),
    "modules-stale": lambda ubuntu: apt_repositories.let_modules_be_older(ubuntu, Ours.built()),
}
"""Faults of /ubuntu: what is done to its tree."""
FILES: dict[str, tuple[str, Callable[[Path], None]]] = {"wrong-key": ("/toolkit/gpgkey", _write_another_key)}
"""Faults of other files: the pattern of their paths, and what makes the folder that is served for them."""
TRANSFERS = {"checksum-wrong": (_TARBALL, "damage"), "download-cut": (_TARBALL, "cut")}
"""Faults on the way: the pattern of paths, and what the mirror's server does. A later row counts for the same paths."""


def write(folder: Path, names: set[str], *, final: Path) -> None:
    """``mirror.json`` and its files in ``folder``, which will be moved to ``final``: pattern of a path → what to do."""
    rules: dict[str, str] = {}
    if names & set(PACKAGES):
        apt_repositories.publish(folder, Ours.built())
        for name in sorted(names & set(PACKAGES)):
            PACKAGES[name](folder / "ubuntu")
        rules["/ubuntu/*"] = str(final)
    for name, (pattern, make) in FILES.items():
        if name in names:
            make(folder)
            rules[pattern] = str(final)
    rules |= {pattern: done for name, (pattern, done) in TRANSFERS.items() if name in names}
    (folder / "mirror.json").write_text(json.dumps(rules, indent=2) + "\n")
