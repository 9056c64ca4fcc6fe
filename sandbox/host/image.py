"""The root file system of the machines: Debian with what an Ubuntu cloud image has, without GPU and Kubernetes."""

import shutil
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.error import SandboxError
from sandbox.process import run

SUITE = "bookworm"
PACKAGES = (
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
_FILES = Path(__file__).parent / "rootfs"


def rootfs() -> Path:
    """The tree, to be used read-only as the lower layer of an overlay; made once, from the host's own apt sources."""
    files = digest_of_files(_FILES, (path for path in _FILES.rglob("*") if path.is_file()))
    key = digest(Path(__file__).read_bytes(), files)
    return cached("machine-image", key, _build, expected="about 45 s", with_owners=True) / "tree"


def _build(directory: Path) -> None:
    directory.chmod(0o700)  # setuid programs live below
    tree, sources = directory / "tree", directory / "sources.list"
    sources.write_text(_sources())
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale")]
    options = ["--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io", "--quiet", *excluded]
    run(["mmdebstrap", *options, f"--include={','.join(PACKAGES)}", SUITE, str(tree), str(sources)], timeout=1800)

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
    for leftover in ("etc/apt/sources.list.d/0000sources.list", "etc/resolv.conf", "etc/hostname"):
        (tree / leftover).unlink(missing_ok=True)  # what mmdebstrap copied from the host


def _sources() -> str:
    """One-line apt sources: those of the host whose Release file says Debian and this suite."""
    line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    shown = run(["apt-get", "indextargets", "--format", line, "Created-By: Packages", "Origin: Debian"]).splitlines()
    chosen = sorted({entry for entry in shown if entry.split()[2].startswith(SUITE)})
    if not any(entry.split()[2] == SUITE for entry in chosen):
        raise SandboxError(f"this host's apt knows no Debian {SUITE}: run `apt-get update` on a Debian 12 host")
    return "\n".join(chosen) + "\n"
