"""The apt repositories of the mirror: NVIDIA's packages by name, version and dependencies, holding our programs.

Two repositories with a key each, as in the world: /ubuntu (driver) is the only apt source of a machine, /toolkit is the
flat repository of the container toolkit with its ``gpgkey``.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.cache import cached, digest
from sandbox.process import run

DRIVER_BRANCH, DRIVER_VERSION, TOOLKIT_VERSION = "580", "580.159.04", "1.20.2-1"
_UBUNTU_VERSION = f"{DRIVER_VERSION}-0ubuntu0.24.04.1"
UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.asc"
_SUITE = "sandbox"
# What the real package's first installation writes, as far as the sandbox's runtime reads it: keys at their default.
_TOOLKIT_CONFIGURATION = """\
#accept-nvidia-visible-devices-as-volume-mounts = false
#accept-nvidia-visible-devices-envvar-when-unprivileged = true
disable-require = false

[nvidia-container-runtime]
mode = "auto"
"""


@dataclass(frozen=True, kw_only=True)
class Package:
    """``programs``: paths at which the GPU program is installed (it looks at the name it is called by)."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)
    """Files whose changes on a machine outlast a new version of the package."""


def publish(mirror: Path, gpu: Path) -> None:
    """Put /ubuntu and /toolkit into the tree of a mirror, made from the GPU program ``gpu``."""
    kernel = os.uname().release
    key = digest(Path(__file__).read_bytes(), gpu.read_bytes(), kernel, fingerprint("ubuntu"), fingerprint("toolkit"))
    built = cached("apt-repositories", key, lambda draft: _build(draft, gpu, kernel), expected="about 5 s")
    for repository in ("ubuntu", "toolkit"):
        shutil.rmtree(mirror / repository, ignore_errors=True)
        shutil.copytree(built / repository, mirror / repository)


def ubuntu_source(mirror_url: str) -> str:
    """The line of sources.list that makes /ubuntu the machine's apt source, its key in the line's own keyring."""
    return f"deb [signed-by={UBUNTU_KEYRING}] {mirror_url}/ubuntu {_SUITE} main\n"


def ubuntu_key() -> str:
    """The public key of /ubuntu, armoured: what the image's own keyring package would hold."""
    return (_keys() / "ubuntu.pub").read_text()


def toolkit_fingerprint() -> str:
    """Fingerprint of the key that signs /toolkit: 40 hexadecimal digits."""
    return fingerprint("toolkit")


def fingerprint(repository: str) -> str:
    return (_keys() / f"{repository}.fingerprint").read_text().strip()


def driver_packages(kernel: str) -> list[Package]:
    """Ubuntu's server branch, with closed and with open kernel modules; facts: mig.md §8."""
    packages = [
        Package(name=f"nvidia-utils-{DRIVER_BRANCH}-server", version=_UBUNTU_VERSION, programs=("/usr/bin/nvidia-smi",))
    ]
    # modprobe runs a program instead of looking for a module: the kernel is the host's. At boot, udev would load it
    load = {
        "/etc/modprobe.d/nvidia-stand-in.conf": f"install nvidia /usr/lib/nvidia/load-driver {DRIVER_VERSION}\n",
        "/usr/lib/modules-load.d/nvidia-stand-in.conf": "nvidia\n",
    }
    flavours = (f"{DRIVER_BRANCH}-server", f"{DRIVER_BRANCH}-server-open")
    for flavour, other in (flavours, reversed(flavours)):
        packages.append(
            Package(
                name=f"linux-modules-nvidia-{flavour}-{kernel}",
                version=_UBUNTU_VERSION,
                conflicts=(f"linux-modules-nvidia-{other}-{kernel}",),
                programs=("/usr/lib/nvidia/load-driver",),
                files=load,
            )
        )
        headless = f"nvidia-headless-no-dkms-{flavour}"
        packages.append(
            Package(name=headless, version=_UBUNTU_VERSION, conflicts=(f"nvidia-headless-no-dkms-{other}",))
        )
    return packages


def toolkit_packages() -> list[Package]:
    same = f"(= {TOOLKIT_VERSION})"
    return [
        Package(name="libnvidia-container1", version=TOOLKIT_VERSION),
        Package(name="libnvidia-container-tools", version=TOOLKIT_VERSION, depends=(f"libnvidia-container1 {same}",)),
        Package(
            name="nvidia-container-toolkit-base",
            version=TOOLKIT_VERSION,
            programs=("/usr/bin/nvidia-container-runtime",),
            configuration={"/etc/nvidia-container-runtime/config.toml": _TOOLKIT_CONFIGURATION},
        ),
        Package(
            name="nvidia-container-toolkit",
            version=TOOLKIT_VERSION,
            depends=(f"nvidia-container-toolkit-base {same}", f"libnvidia-container-tools {same}"),
        ),
    ]


def build_package(package: Package, gpu: Path, pool: Path) -> None:
    """One .deb in ``pool``."""
    control = {
        "Package": package.name,
        "Version": package.version,
        "Architecture": "amd64",
        "Maintainer": "mig-k8s sandbox <sandbox@localhost>",
        "Section": "restricted/misc",
        "Depends": ", ".join(package.depends),
        "Conflicts": ", ".join(package.conflicts),
        "Description": "stand-in of the mig-k8s sandbox: holds no code of NVIDIA",
    }
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for path in package.programs:
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(gpu, target)
            target.chmod(0o755)
        for path, content in {**package.files, **package.configuration}.items():
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        (tree / "DEBIAN").mkdir(parents=True)
        lines = "".join(f"{name}: {value}\n" for name, value in control.items() if value)
        (tree / "DEBIAN/control").write_text(lines)
        (tree / "DEBIAN/conffiles").write_text("".join(f"{path}\n" for path in package.configuration))
        run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(pool)])


def sign(release: Path, repository: str) -> None:
    """InRelease and Release.gpg beside ``release``, by the key of ``repository``."""
    with _keyring(_keys() / f"{repository}.sec") as gpg:
        sealed = release.with_name("InRelease")
        run([*gpg, "--yes", "--output", str(sealed), "--clearsign", str(release)])
        run([*gpg, "--yes", "--armor", "--output", f"{release}.gpg", "--detach-sign", str(release)])


def take_out(ubuntu: Path, name: str) -> None:
    """Take a package out of a published /ubuntu, as if it had never been there."""
    for package in (ubuntu / "pool").glob(f"{name}_*.deb"):
        package.unlink()
    # The date stays: apt takes an older Release than it knows for no news.
    release = (ubuntu / f"dists/{_SUITE}/Release").read_text()
    date = next(line for line in release.splitlines() if line.startswith("Date: "))
    _index(ubuntu, {"Date": date.removeprefix("Date: ")})


def _build(draft: Path, gpu: Path, kernel: str) -> None:
    ubuntu, flat = draft / "ubuntu", draft / "toolkit/stable/deb/amd64"
    pool = ubuntu / "pool"
    for folder in (pool, flat):
        folder.mkdir(parents=True)
    for package in driver_packages(kernel):
        build_package(package, gpu, pool)
    for package in toolkit_packages():
        build_package(package, gpu, flat)
    _index(ubuntu, {})
    (flat / "Packages").write_text(_ftparchive(flat, "packages", "."))
    (flat / "Release").write_text(_release(flat, {"Origin": "https://nvidia.github.io/libnvidia-container"}))
    sign(flat / "Release", "toolkit")
    shutil.copyfile(_keys() / "toolkit.pub", draft / "toolkit/gpgkey")


def _index(ubuntu: Path, more: dict[str, str]) -> None:
    """Lists and signature for what is in /ubuntu's pool; `more` are fields of its Release."""
    suite = ubuntu / f"dists/{_SUITE}"
    shutil.rmtree(suite, ignore_errors=True)
    (suite / "main/binary-amd64").mkdir(parents=True)
    (suite / "main/binary-amd64/Packages").write_text(_ftparchive(ubuntu, "packages", "pool"))
    names = {"Origin": "Ubuntu", "Label": "Ubuntu", "Suite": _SUITE, "Codename": _SUITE}
    fields = names | {"Components": "main", "Architectures": "amd64"} | more
    (suite / "Release").write_text(_release(suite, fields))
    sign(suite / "Release", "ubuntu")


def _release(folder: Path, fields: dict[str, str]) -> str:
    options = [word for name, value in fields.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    return _ftparchive(folder, *options, "release", ".")


def _ftparchive(folder: Path, *arguments: str) -> str:
    """apt-ftparchive writes paths as it was given them: it must run in the repository."""
    return run(["env", f"--chdir={folder}", "apt-ftparchive", "-o", "APT::FTPArchive::DB=", *arguments])


def _keys() -> Path:
    """Public and secret halves of two throw-away keys, made once for each user."""
    return cached("apt-keys", digest("ed25519", "v1"), _make_keys)


def _make_keys(draft: Path) -> None:
    draft.chmod(0o700)
    for repository in ("ubuntu", "toolkit"):
        owner = f"mig-k8s sandbox {repository} repository"
        with _keyring() as gpg:
            run([*gpg, "--passphrase", "", "--quick-generate-key", owner, "ed25519", "sign", "never"])
            listed = run([*gpg, "--with-colons", "--list-keys", owner])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.pub"), "--export"])
            run([*gpg, "--armor", "--output", str(draft / f"{repository}.sec"), "--export-secret-keys"])
        number = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        (draft / f"{repository}.fingerprint").write_text(number + "\n")


@contextmanager
def _keyring(secret: Path | None = None) -> Iterator[list[str]]:
    """The start of a gpg command with a keyring of its own; its agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="mk8s-gpg-", dir="/tmp") as home:  # short: the agent has a socket there
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
        try:
            if secret is not None:
                run([*gpg, "--import", str(secret)])
            yield gpg
        finally:
            run(["gpgconf", "--homedir", home, "--kill", "all"])
