"""The root file system of the machines, with what an Ubuntu cloud image has, without GPU and Kubernetes.

It is the host's own release of Debian or Ubuntu, from the archive that its apt uses: what is built with C runs on the C
library of the host that has built it, or on a newer one.
"""

import os
import shutil
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.debian import apt
from sandbox.debian import archive as of_packages
from sandbox.debian.archive import Archive
from sandbox.process import run

PACKAGES = (
    "apt",  # of itself only in Debian
    "ca-certificates",
    "cloud-init",
    "curl",
    "dbus",  # without it `systemctl reboot` fails
    "gpg",
    "iproute2",
    "kmod",
    "libnss-myhostname",  # the machine knows its own name, as with Azure's name server
    "libpam-systemd",
    "libseccomp2",
    "lsb-release",  # without it Ubuntu's cloud-init is degraded
    "nftables",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "python3-yaml",
    "sudo",
    "systemd",
    "systemd-sysv",
)
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "console-getty.service",
    "getty@tty1.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-sysctl.service",  # the settings are the host's
)
_LEFTOVERS = (
    "etc/apt/sources.list.d/0000sources.list",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/resolv.conf",
    "etc/hostname",
)
"""What mmdebstrap was told, or copied from the host."""
_FILES = Path(__file__).parent / "rootfs"


def rootfs() -> Path:
    """The tree, to be used read-only as the lower layer of an overlay; made once, from the host's own apt sources."""
    archive = Archive.of_the_host()
    files = digest_of_files(_FILES, (path for path in _FILES.rglob("*") if path.is_file()))
    modules = (__file__, of_packages.__file__)
    key = digest(*(Path(module).read_bytes() for module in modules), files, archive.suite)

    def build(draft: Path) -> None:
        _build(draft, archive)

    return cached("machine-image", key, build, expected="about 75 s", with_owners=True) / "tree"


def _build(directory: Path, archive: Archive) -> None:
    directory.chmod(0o700)  # setuid programs live below
    tree, sources = directory / "tree", directory / "sources.list"
    sources.write_text(archive.sources())
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")]
    bounded = [f'--aptopt={name} "{value}"' for name, value in apt.OPTIONS.items()]
    options = ["--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io", "--quiet", *excluded, *bounded]
    # PYTHONPYCACHEPREFIX of make would be a folder in the image, and every machine would compile cloud-init anew.
    python = [f"--unset={name}" for name in os.environ if name.startswith("PYTHON")]
    env = ["env", *python, *(f"{name}={value}" for name, value in apt.RESOLVER.items())]
    made = [*env, "mmdebstrap", *options, f"--include={','.join(PACKAGES)}", archive.suite, str(tree), str(sources)]
    run(made, timeout=1800)

    shutil.copytree(_FILES, tree, dirs_exist_ok=True)
    units = tree / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "machine-kernel.service").symlink_to("../machine-kernel.service")

    for key in (tree / "etc/ssh").glob("ssh_host_*"):  # every machine gets its own
        key.unlink()
    for leftover in _LEFTOVERS:
        (tree / leftover).unlink(missing_ok=True)
