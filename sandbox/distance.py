"""Network profiles: the rate and the sizes at which the mirror serves, and the time the cloud takes.

A sandbox is near: its mirror serves small stand-ins at once, and a machine boots as soon as it is asked for. A profile
gives it a distance. It lies in the sandbox's folder and is read at each use, so that a living sandbox changes at once.
"""

import json
import math
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """`rate`: bytes per second of each connection; `latency`: seconds until a request is answered.

    `machine`: seconds from the request for a machine, or for its start, until its boot begins; `reboot`: seconds
    between going down and coming up. Both as the hypervisor sees it: what the machine itself does comes on top.
    """

    name: str
    rate: float = math.inf
    latency: float = 0
    machine: float = 0
    reboot: float = 0

    @property
    def far(self) -> bool:
        """Whether downloads take the time of real ones."""
        return self.rate != math.inf

    def seconds(self, size: float) -> float:
        """How long a body of this size is on its way."""
        return size / self.rate

    def __str__(self) -> str:
        if not self.far:
            return f"{self.name}: everything at once"
        return (
            f"{self.name}: {self.rate / 1e6:g} MB/s for each connection, answers after {self.latency:g} s, a machine"
            f" after {self.machine:g} s, {self.reboot:g} s more for a reboot"
        )


NONE = Profile(name="none")
# All of it estimates. The rate lies between what was seen on machines of clouds: apt with 14.6 MB/s for its lists and
# 75.7 MB/s for a driver, containerd with 9 MB/s and 26.6 MB/s for the device plugin, unpacking included. A reboot takes
# about a minute where a machine here needs ten seconds of its own.
AZURE = Profile(name="azure", rate=25e6, latency=0.05, machine=60, reboot=50)
PROFILES = {profile.name: profile for profile in (NONE, AZURE)}


def of(root: Path) -> Profile:
    """The profile of the sandbox in this folder."""
    try:
        return Profile(**json.loads((root / "distance.json").read_text()))
    except FileNotFoundError:
        return NONE


def put(root: Path, profile: Profile) -> None:
    """Give the sandbox in this folder a profile, whole or not at all: its mirror may read it at any time."""
    file = root / "distance.json"
    if profile == NONE:
        file.unlink(missing_ok=True)
        return
    draft = file.with_name("distance.json.new")
    draft.write_text(json.dumps(asdict(profile)) + "\n")
    draft.replace(file)


class Certainty(StrEnum):
    MEASURED = "measured"
    """A client said so many bytes: of this very object, or of the same one in the version that the source names."""
    ESTIMATE = "estimate"
    """Nobody we know of has measured it: the size of the nearest thing that was measured, or a guess."""


@dataclass(frozen=True, slots=True)
class Real:
    """`pattern`: of a path of the mirror, or of an image's name and tag without its registry; `size` in bytes."""

    pattern: str
    size: int
    certainty: Certainty
    source: str


_KERNEL = os.uname().release
_M, _E = Certainty.MEASURED, Certainty.ESTIMATE
_LOG_24 = "apt's own log of Ubuntu 24.04 in 2026"
_LOG_595 = "apt's own log, driver 595.71.05 on Ubuntu 24.04"
_TOOLKIT = "apt's own log, toolkit 1.17.4"
_CRICTL = "crictl images, RKE2 v1.33.7"
_CALICO = "crictl images, Calico 3.27.3 in RKE2 v1.28"
REAL = (
    # Ours have three suites of four and one list that is not empty, which stands for all: 36.9 MB together.
    Real("/ubuntu/dists/*-*/*Release*", 126_000, _M, _LOG_24),
    Real("/ubuntu/dists/*Release*", 382_000, _M, f"{_LOG_24}: InRelease of two suites, 256 and 126 kB"),
    Real("/ubuntu/dists/*-*/Packages", 0, _M, "empty: what they would list is with the release itself"),
    Real("/ubuntu/dists/*/restricted/*/Packages", 45_000_000, _E, f"36.9 MB by {_LOG_24}, and a server's translations"),
    Real(f"/ubuntu/pool/linux-image-{_KERNEL}_*", 0, _M, "the image of a machine has the kernel that runs"),
    Real("/ubuntu/pool/linux-image-*", 53_800_000, _E, "image and modules of the generic kernel 6.8.0-124"),
    Real("/ubuntu/pool/linux-modules-nvidia-*-open-[0-9]*", 20_000_000, _E, "unknown; smaller than the closed ones"),
    Real("/ubuntu/pool/linux-modules-nvidia-*-server-[0-9]*", 97_900_000, _M, "linux-objects-nvidia-580, generic 6.14"),
    Real("/ubuntu/pool/linux-modules-nvidia-*", 6_700, _M, "the metapackage of 580 for generic 6.14"),
    # Ours hold what Ubuntu has in more packages: nvidia-utils libnvidia-compute too, common the firmware, headless the
    # modules' source.
    Real("/ubuntu/pool/nvidia-utils-*", 86_600_000, _M, _LOG_595),
    Real("/ubuntu/pool/nvidia-kernel-common-*", 75_700_000, _M, _LOG_595),
    Real("/ubuntu/pool/nvidia-headless-no-dkms-*-open_*", 8_700_000, _M, _LOG_595),
    Real("/ubuntu/pool/nvidia-headless-no-dkms-*", 31_600_000, _E, "nvidia-kernel-source-515 was measured"),
    Real("/ubuntu/pool/nvidia-fabricmanager-*", 5_000_000, _E, "unknown"),
    Real("/toolkit/*/libnvidia-container1_*", 925_000, _M, _TOOLKIT),
    Real("/toolkit/*/libnvidia-container-tools_*", 20_200, _M, _TOOLKIT),
    Real("/toolkit/*/nvidia-container-toolkit-base_*", 3_672_000, _M, _TOOLKIT),
    Real("/toolkit/*/nvidia-container-toolkit_*", 1_188_000, _M, _TOOLKIT),
    Real("/toolkit/*/Packages", 60_000, _E, "unknown; every version of each package is in it"),
    Real("/toolkit/*Release*", 2_000, _E, "unknown"),
    Real("/toolkit/gpgkey", 3_100, _E, "an RSA key of 4096 bits, armoured"),
    Real("/rke2/*/rke2.linux-amd64.tar.gz", 40_000_000, _E, "the program in it has about 140 MB (rancher/rke2#706)"),
    Real("/rke2/*/sha256sum-amd64.txt", 5_000, _E, "about fifty lines"),
    Real("/rke2/install.sh", 25_000, _E, "unknown"),
    Real("/charts/index.yaml", 500_000, _E, "unknown; every chart of NVIDIA's is in it"),
    Real("/charts/gpu-operator-*.tgz", 100_000, _E, "unknown"),
    Real("rancher/mirrored-pause:*", 253_000, _M, _CRICTL),
    Real("rancher/rke2-runtime:*", 101_000_000, _M, "crictl images, RKE2 v1.35.5"),
    Real("rancher/hardened-kubernetes:*", 196_000_000, _M, _CRICTL),
    Real("rancher/hardened-etcd:*", 17_100_000, _M, _CRICTL),
    Real("rancher/hardened-coredns:*", 27_200_000, _M, _CRICTL),
    Real("rancher/klipper-helm:*", 60_900_000, _M, _CRICTL),
    Real("rancher/mirrored-calico-cni:*", 88_400_000, _M, _CALICO),
    Real("rancher/mirrored-calico-node:*", 116_000_000, _M, _CALICO),
    Real("rancher/mirrored-calico-kube-controllers:*", 33_400_000, _M, _CALICO),
    Real("rancher/mirrored-calico-operator:*", 21_400_000, _M, _CALICO),
    Real("rancher/mirrored-calico-typha:*", 29_600_000, _M, _CALICO),
    Real("nvidia/gpu-operator:*", 120_000_000, _E, "unknown; it holds the validator too"),
    Real("nvidia/k8s-device-plugin:*", 55_104_215, _M, "the kubelet's event, v0.20.0"),
    Real("nvidia/cloud-native/k8s-mig-manager:*", 120_000_000, _E, "unknown"),
    Real("nfd/node-feature-discovery:*", 75_000_000, _E, "unknown"),
    Real("nvidia/k8s/cuda-sample:*", 117_000_000, _E, "a neighbour of it, by ublue-os/config#134"),
)


def real(what: str) -> Real | None:
    """The row for a path of the mirror or an image; None for what is not in the table."""
    return next((row for row in REAL if fnmatchcase(what, row.pattern)), None)


def real_size(what: str, stored: int) -> int:
    """How many bytes it has in the world; what is not in the table has as many as are stored here."""
    row = real(what)
    return stored if row is None else row.size
