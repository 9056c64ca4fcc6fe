"""`make try-host`: the two commands of README on a stock Debian host, booted in an emulator. Not a part of `make test`.

Takes about half an hour and 15 GB of disk for a while; root, QEMU and mmdebstrap. The host gets a cache that has all
that is built, and the network is asked for nothing.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from sandbox import cache
from sandbox.debian import packages
from sandbox.debian.archive import Archive
from tests.hosts import host_disk
from tests.hosts.emulated_host import EmulatedHost, booted

_PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}
_SUITES = ("bookworm", "trixie")
_MOUNTED = {"v1": "tmpfs", "v2": "cgroup2fs"}
_LEFT = {
    "links": "ip -brief link | awk '{print $1}' | sort",
    "network namespaces": "ls /run/netns 2>/dev/null | sort",
    "control groups": "find /sys/fs/cgroup -type d -name 'mk8s*'",
    "mounts": "awk '{print $5}' /proc/self/mountinfo | grep -v -e '^/run/user' -e '^/run/netns$' | sort",
    "processes": "ps -eo args | grep -E 'systemd-nspawn|pulumi|sandbox[.]' | grep -v grep || true",
    "files of root in the person's home": "find $HOME -user root",
}
"""What is compared before and after. iproute2 mounts /run/netns for all namespaces with the first, and leaves it."""
_SECONDS = 3600.0
"""An `up` took 25 minutes on two cores with other work beside."""


def main() -> int:
    """0 if everything went well and nothing is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts.try_host", description=__doc__)
    parser.add_argument("--groups", choices=sorted(_MOUNTED), default="v2", help="control groups (default: v2 alone)")
    parser.add_argument("--suite", choices=_SUITES, default=_default_suite(), help="release of Debian (default: ours)")
    given = parser.parse_args()
    groups, suite = given.groups, given.suite
    packages.install_missing(_PROGRAMS)
    with tempfile.TemporaryDirectory(prefix="try-host-", dir="/var/tmp") as temporary:
        folder = Path(temporary)
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        print(f"making the disks of a host of {suite}", flush=True)
        disks = host_disk.make(folder, suite, key.with_suffix(".pub").read_text())
        started = time.monotonic()
        with booted(disks, folder, key, groups=groups) as host:
            print(f"booted after {time.monotonic() - started:.0f} s", flush=True)
            return _tried(host, groups)


def _default_suite() -> str:
    ours = Archive.of_the_host().suite
    return ours if ours in _SUITES else _SUITES[-1]


def _tried(host: EmulatedHost, groups: str) -> int:
    mounted = host.says("stat --file-system --format %T /sys/fs/cgroup").strip()
    if mounted != _MOUNTED[groups]:
        print(f"/sys/fs/cgroup is {mounted}, expected {_MOUNTED[groups]} with control groups {groups}")
        return 1
    here = f"cd {host_disk.CHECKOUT} && export XDG_CACHE_HOME={cache.root().parent} &&"
    before = _left(host)
    host.shows(f"{here} sudo make sandbox", _SECONDS)
    host.shows(f"{here} make verify", _SECONDS)
    host.shows(f"{here} sudo make sandbox-down", _SECONDS)
    after = _left(host)
    for what, was in before.items():
        if after[what] != was:
            print(f"{what} before:\n{was}and after:\n{after[what]}")
    return 0 if after == before else 1


def _left(host: EmulatedHost) -> dict[str, str]:
    return {what: host.says(command) for what, command in _LEFT.items()}


if __name__ == "__main__":
    raise SystemExit(main())
