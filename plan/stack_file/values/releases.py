"""Which releases exist and go together: driver × GPU × chart × Kubernetes × Ubuntu × Secure Boot.

One table, as read on 2026-11-23:

    GPU Operator  26.6, 26.7 supported, 26.3 deprecated, 25.10 ended; with Kubernetes 1.33 to 1.36, Ubuntu 22.04, 24.04
    Kubernetes    RKE2 vX.Y.Z+rke2rN; containerd 2, which the operator's CDI needs, since 1.31.6
    toolkit       1.18 and newer: the CDI that GPU Operator 25.10 and newer turn on
    driver        580, supported to June 2028, for every GPU of the catalogue (H200 needs 550), open or not
    Secure Boot   Canonical's signed modules (driver.source ubuntu); not an image's own; none on the ND A100 sizes

Sources: NVIDIA cloud-native-docs for GPU Operator v26.7 (operator, Kubernetes, toolkit), NVIDIA's list of driver
branches (ends of support), packages.ubuntu.com with -updates and -security (server branches), rancher/rke2 releases,
MIG User Guide v580 (what a GPU needs), Azure's size pages (Trusted Launch).
"""

import re
from dataclasses import dataclass

from plan.problems import Refusal

KUBERNETES_MINORS = (33, 36)
NEWEST_RKE2 = {33: "v1.33.13+rke2r2", 34: "v1.34.10+rke2r1", 35: "v1.35.7+rke2r1", 36: "v1.36.3+rke2r1"}
OPERATOR_RELEASES = ("26.3", "26.6", "26.7")
NEWEST_OPERATOR = "v26.7.0"
OLDEST_TOOLKIT = (1, 18)


@dataclass(frozen=True, slots=True)
class DriverBranch:
    """A branch of NVIDIA's driver: the Ubuntu releases that have signed modules of it, or why there is no use in it."""

    ubuntu: tuple[str, ...] = ()
    why_not: str = ""


_ENDED = DriverBranch(why_not="is at its end of life")
_EMPTIED = DriverBranch(why_not="is at its end of life; Ubuntu's packages of that name bring 580 instead")
DRIVER_BRANCHES = {
    **dict.fromkeys((450, 460, 470, 510, 515, 525, 535), _ENDED),
    **dict.fromkeys((550, 565, 570, 575), _EMPTIED),
    580: DriverBranch(ubuntu=("22.04", "24.04")),
    590: DriverBranch(why_not="was replaced; Ubuntu's packages of that name bring 595 instead"),
    # 595.71 was there; in the newest Ubuntu its module packages are empty ones that bring 615.
    595: DriverBranch(why_not="is being replaced: newer packages of that name bring 615's open modules instead"),
    610: DriverBranch(why_not="ended in August 2026, and Ubuntu has no server packages of it"),
    615: DriverBranch(why_not="has open modules only, and is none of those GPU Operator v26.7 was released with"),
}


def rke2_version(text: str) -> str:
    """An exact RKE2 release of a Kubernetes minor that the GPU Operator supports."""
    match = re.fullmatch(r"v1\.(\d+)\.(\d+)\+rke2r(\d+)", text)
    if match is None:
        channel = re.fullmatch(r"stable|latest|testing|v1\.\d+", text)
        raise Refusal(
            "a channel, which moves under your feet" if channel else "not an RKE2 release",
            allowed="vX.Y.Z+rke2rN",
            remedy=f"Write {NEWEST_RKE2[35]}.",
        )
    minor = int(match[1])
    first, last = KUBERNETES_MINORS
    if not first <= minor <= last:
        newest = NEWEST_RKE2[min(max(minor, first), last)]
        raise Refusal(
            f"Kubernetes 1.{minor} is not supported by the GPU Operator",
            allowed=f"1.{first} to 1.{last}",
            remedy=f"Write {newest}.",
        )
    return text


def operator_version(text: str) -> str:
    """A chart version of the GPU Operator that is not at its end of life."""
    match = re.fullmatch(r"v(\d{2}\.\d{1,2})\.\d+", text)
    if match is None:
        raise Refusal("not a GPU Operator release", allowed="vYY.M.P", remedy=f"Write {NEWEST_OPERATOR}.")
    if match[1] not in OPERATOR_RELEASES:
        raise Refusal(
            f"GPU Operator {match[1]} is at its end of life or unknown",
            allowed=", ".join(f"v{release}.x" for release in OPERATOR_RELEASES),
            remedy=f"Write {NEWEST_OPERATOR}.",
        )
    return text


def toolkit_version(text: str) -> str:
    """An exact Debian version of the container toolkit."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)-(\d+)", text)
    if match is None:
        raise Refusal("not a package version of nvidia-container-toolkit", allowed="X.Y.Z-N", remedy="Write 1.20.0-1.")
    if (int(match[1]), int(match[2])) < OLDEST_TOOLKIT:
        raise Refusal(
            "too old for the CDI that the GPU Operator turns on", allowed="1.18.0-1 or newer", remedy="Write 1.20.0-1."
        )
    return text


def driver_branch(branch: int, ubuntu: str) -> Refusal | None:
    """Whether Canonical's prebuilt, signed modules of this branch exist for this Ubuntu and will go on to."""
    known = DRIVER_BRANCHES.get(branch, DriverBranch(why_not="is no server branch that Canonical signs"))
    if ubuntu in known.ubuntu:
        return None
    allowed = ", ".join(str(number) for number, other in DRIVER_BRANCHES.items() if ubuntu in other.ubuntu)
    return Refusal(
        f"driver branch {branch} {known.why_not} (Ubuntu {ubuntu})", allowed=allowed, remedy=f"Write {allowed}."
    )
