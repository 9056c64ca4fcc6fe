"""NVIDIA's packages as the stand-in repositories have them: names, versions and dependencies of the real ones."""

import re
from dataclasses import dataclass, field

DRIVER_BRANCH, DRIVER_VERSION = "580", "580.159.04"
LIBRARY = "libnvidia-ml.so"
"""The name of the driver's library; behind it, of the file the version, and 1 of the link."""
TOOLKIT_VERSIONS = ("1.19.1-1", "1.20.2-1")
OLDER_DRIVER_VERSION = "580.126.09"
"""What modules are of that were built for a driver of before."""
_UBUNTU_VERSION = f"{DRIVER_VERSION}-0ubuntu0.24.04.1"
_FLAVOURS = {f"{DRIVER_BRANCH}-server": f"{DRIVER_BRANCH}-server-open"}
_FLAVOURS |= {other: flavour for flavour, other in _FLAVOURS.items()}
"""The flavours of the driver's kernel modules, each with the one that it excludes."""
_FABRIC_MANAGER_UNIT = f"""[Unit]
Description=NVIDIA fabric manager service
After=network-online.target
Requires=network-online.target

[Service]
Type=notify
ExecStart=/usr/bin/nv-fabricmanager {DRIVER_VERSION}
ExecStopPost=/bin/rm -f /run/gpu/fabric

[Install]
WantedBy=multi-user.target
"""

# As the real package does: it writes what its program takes for the default, and keeps what was changed.
_CONFIGURE_TOOLKIT = """\
/usr/bin/nvidia-ctk --quiet config --config-file=/etc/nvidia-container-runtime/config.toml --in-place
systemctl daemon-reload
systemctl enable --quiet nvidia-cdi-refresh.path nvidia-cdi-refresh.service
systemctl start --no-block nvidia-cdi-refresh.path nvidia-cdi-refresh.service
"""
_TOOLKIT_UNITS = {
    f"/usr/lib/systemd/system/{place}": f"systemd/{name}"
    for place, name in {
        "nvidia-cdi-refresh.path": "nvidia-cdi-refresh.path",
        "nvidia-cdi-refresh.service": "nvidia-cdi-refresh.service",
        "nvidia-cdi-refresh.service.d/10-container-engines.conf": "10-container-engines.conf",
    }.items()
} | {"/etc/nvidia-container-toolkit/nvidia-cdi-refresh.env": "systemd/nvidia-cdi-refresh.env"}
# In place of depmod, for which ours are not real modules. NVIDIA's units look into this file and wait for its change.
_LIST_MODULES = """\
cd /usr/lib/modules/{kernel}
find kernel -name nvidia.ko -printf '%p:\\n' >modules.dep
"""


@dataclass(frozen=True, kw_only=True)
class Package:
    """``programs``: paths at which the GPU program is installed (it looks at the name it is called by).

    ``library``: where the driver's library is installed; beside it is the link that programs load.
    ``of_the_toolkit``: path → the file of NVIDIA's container toolkit that is installed there.
    ``after_installation``: commands that the package runs when it has been installed.
    """

    name: str
    version: str
    depends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    library: str = ""
    of_the_toolkit: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    after_installation: str = ""

    @property
    def holds(self) -> str:
        """Whose code it is, for the description that `apt show` prints."""
        return "NVIDIA's own programs, built from their source" if self.of_the_toolkit else "no code of NVIDIA"


def kernel_flavour(kernel: str) -> str:
    """What the name of a metapackage ends in: azure for 6.8.0-1064-azure."""
    return re.sub(r"^[^-]*-(\d[^-]*-)?", "", kernel)


def next_kernel(kernel: str) -> str:
    """A newer kernel of the same flavour than this one, which the metapackages bring: 7.0.0-1020-azure, say."""
    return f"{int(kernel.partition('.')[0]) + 1}.0.0-1020-{kernel_flavour(kernel)}"


def driver_packages(kernel: str) -> list[Package]:
    """Ubuntu's server branch: one version of the userland, modules for two kernels, a metapackage for the newer one.

    Facts: mig.md §8, hardware-2026-11.md.
    """
    common = f"nvidia-kernel-common-{DRIVER_BRANCH}-server"
    # modprobe runs a program instead of looking for a module: the kernel is the host's. At boot, udev would load it
    load = {
        "/etc/modprobe.d/nvidia-stand-in.conf": 'install nvidia /usr/lib/nvidia/load-driver --kernel "$(uname -r)"\n',
        "/usr/lib/modules-load.d/nvidia-stand-in.conf": "nvidia\n",
    }
    packages = [
        Package(
            name=f"nvidia-utils-{DRIVER_BRANCH}-server",
            version=_UBUNTU_VERSION,
            programs=("/usr/bin/nvidia-smi",),
            library=f"/usr/lib/x86_64-linux-gnu/{LIBRARY}.{DRIVER_VERSION}",  # there in a package of its own
        ),
        Package(
            name=common,
            version=_UBUNTU_VERSION,
            programs=("/usr/lib/nvidia/load-driver", "/usr/lib/nvidia/container-hook"),
            files=load,
        ),
    ]
    packages.append(
        Package(
            name=f"nvidia-fabricmanager-{DRIVER_BRANCH}",
            version=_UBUNTU_VERSION,
            programs=("/usr/bin/nv-fabricmanager",),
            files={"/usr/lib/systemd/system/nvidia-fabricmanager.service": _FABRIC_MANAGER_UNIT},
        )
    )
    for flavour, other in _FLAVOURS.items():
        headless = f"nvidia-headless-no-dkms-{flavour}"
        conflicts = (f"nvidia-headless-no-dkms-{other}",)
        depends = (f"{common} (= {_UBUNTU_VERSION})",)
        packages.append(Package(name=headless, version=_UBUNTU_VERSION, depends=depends, conflicts=conflicts))
    newer = next_kernel(kernel)
    for release in (kernel, newer):
        image = {f"/boot/vmlinuz-{release}": "a kernel\n"}
        packages.append(Package(name=f"linux-image-{release}", version=f"{release}.1", files=image))
        packages += module_packages(release, DRIVER_VERSION)
    for flavour in _FLAVOURS:
        name = f"linux-modules-nvidia-{flavour}"
        depends = (f"{name}-{newer} (= {newer}.1+1)",)
        packages.append(Package(name=f"{name}-{kernel_flavour(kernel)}", version=f"{newer}.1+1", depends=depends))
    return packages


def module_packages(kernel: str, version: str) -> list[Package]:
    """Closed and open modules for a kernel, built for this driver; only the open ones exclude a newer userland."""
    common = f"nvidia-kernel-common-{DRIVER_BRANCH}-server"
    packages = []
    for flavour, other in _FLAVOURS.items():
        kind = "open" if flavour.endswith("-open") else "proprietary"
        folder = f"/usr/lib/modules/{kernel}/kernel/nvidia-{DRIVER_BRANCH}srv{'-open' if kind == 'open' else ''}"
        upper = (f"{common} (<= {version}-1)",) if kind == "open" else ()
        packages.append(
            Package(
                name=f"linux-modules-nvidia-{flavour}-{kernel}",
                version=f"{kernel}.1+1",
                depends=(f"linux-image-{kernel} | linux-image-unsigned-{kernel}", *upper, f"{common} (>= {version})"),
                conflicts=(f"linux-modules-nvidia-{other}-{kernel}",),
                files={f"{folder}/nvidia.ko": f"{version} {kind}\n"},
                after_installation=_LIST_MODULES.format(kernel=kernel),
            )
        )
    return packages


def toolkit_packages(version: str) -> list[Package]:
    """The four packages of the container toolkit. Each version holds the same programs, and no libnvidia-container."""
    same = f"(= {version})"
    return [
        Package(name="libnvidia-container1", version=version),
        Package(name="libnvidia-container-tools", version=version, depends=(f"libnvidia-container1 {same}",)),
        Package(
            name="nvidia-container-toolkit-base",
            version=version,
            of_the_toolkit=_TOOLKIT_UNITS
            | {f"/usr/bin/{name}": name for name in ("nvidia-container-runtime", "nvidia-ctk", "nvidia-cdi-hook")},
            after_installation=_CONFIGURE_TOOLKIT,
        ),
        Package(
            name="nvidia-container-toolkit",
            version=version,
            depends=(f"nvidia-container-toolkit-base {same}", f"libnvidia-container-tools {same}"),
            of_the_toolkit={"/usr/bin/nvidia-container-runtime-hook": "nvidia-container-runtime-hook"},
        ),
    ]
