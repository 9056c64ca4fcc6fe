"""Which releases exist and go together: Kubernetes × GPU Operator × toolkit × driver × Ubuntu.

The only place that knows releases. Every table is as of `AS_OF`: what had ended by then is refused with its date, what
is newer than the tables is taken, and `rules.warnings` says so.

Sources: NVIDIA cloud-native-docs for GPU Operator v26.7 (life cycle, Kubernetes, toolkit), kubernetes.io/releases
(ends), rancher/rke2 channels, NVIDIA's list of driver branches, Ubuntu's package index with -updates and -security
(server branches), MIG User Guide v580 (what a GPU needs).
"""

import re
from dataclasses import dataclass

from plan.problems import Refusal

AS_OF = "2026-11-26"

RKE2 = "v1.36.4+rke2r1"
"""What RKE2's stable channel gives."""
RKE2_TARBALLS = {"v1.36.4+rke2r1": "7bcbd3167d6947e1d79cdf722acdc740b28021fefb50dd5b974a1980776d4079"}
"""The SHA-256 of rke2.linux-amd64.tar.gz, of the releases of which it is known from elsewhere than the release itself:
repositories of three independent authors pin it, or the list of checksums that has it."""
KUBERNETES_MINORS = (33, 37)
"""Minors of Kubernetes 1 that the GPU Operator supports: the first and the last."""
KUBERNETES_ENDS = {
    24: "2023-07-28", 25: "2023-10-28", 26: "2024-02-28", 27: "2024-07-16", 28: "2024-10-28", 29: "2025-02-28",
    30: "2025-07-15", 31: "2025-10-28", 32: "2026-02-28", 33: "2026-06-28", 34: "2026-10-27", 35: "2027-02-28",
    36: "2027-06-28", 37: "2027-10-28",
}  # fmt: skip
"""When each minor gets its last fixes."""

OPERATOR = "v26.7.0"
SUPPORTED_OPERATORS = ("26.3", "26.6", "26.7")
OPERATOR_ENDS = {
    "22.9": "2023-06", "23.3": "2023-09", "23.6": "2024-03", "23.9": "2024-06", "24.3": "2024-09", "24.6": "2025-03",
    "24.9": "2025-10", "25.3": "2026-03", "25.10": "2026-07",
}  # fmt: skip
"""Support ends when the second release after it comes (NVIDIA's life cycle), and a release is called by its month."""

TOOLKIT = "1.20.2-1"
TOOLKIT_MINORS = ((1, 18), (1, 20))
"""The first has the CDI that GPU Operator 25.10 and newer turn on; the last is the newest."""

DRIVER_BRANCH = 580


@dataclass(frozen=True, slots=True)
class DriverBranch:
    """A branch of NVIDIA's driver: the Ubuntu releases that have signed modules of it, or why there is no use in it."""

    ubuntu: tuple[str, ...] = ()
    why_not: str = ""
    beware: str = ""
    """What its user should know; empty when there is nothing."""


_EMPTIED = "Ubuntu's packages of that name bring 580 instead"
DRIVER_BRANCHES = {
    **dict.fromkeys((450, 460, 470, 510, 515, 525), DriverBranch(why_not="is at its end of life")),
    535: DriverBranch(why_not="is at its end of life (LTS to 2026-06)"),
    **dict.fromkeys((550, 565, 570, 575), DriverBranch(why_not=f"is at its end of life; {_EMPTIED}")),
    580: DriverBranch(ubuntu=("22.04", "24.04")),  # LTS to 2028-06
    590: DriverBranch(why_not="was replaced; Ubuntu's packages of that name bring 595 instead"),
    595: DriverBranch(
        ubuntu=("22.04", "24.04"),
        beware="a production branch, supported to 2027-03 only. Of its server packages, closed modules for "
        "7.0.0-1020-azure were seen; a machine with another kernel may need that one, or find none",
    ),
    610: DriverBranch(why_not="ended in August 2026, and Ubuntu has no server packages of it"),
    615: DriverBranch(why_not="has open modules only, and is none of those GPU Operator v26.7 was released with"),
    620: DriverBranch(why_not=f"is LTS to 2029-09, but Ubuntu had no server packages of it on {AS_OF}"),
}


def rke2_version(text: str) -> str:
    """An exact RKE2 release of a Kubernetes minor that has not ended."""
    match = re.fullmatch(r"v1\.(\d+)\.(\d+)\+rke2r(\d+)", text)
    if match is None:
        channel = re.fullmatch(r"stable|latest|testing|v1\.\d+", text)
        raise Refusal(
            "a channel, whose release changes by itself" if channel else "not an RKE2 release",
            allowed="vX.Y.Z+rke2rN",
            remedy=f"Write {RKE2}.",
        )
    minor = int(match[1])
    first, last = KUBERNETES_MINORS
    if minor < first:
        ended = KUBERNETES_ENDS.get(minor)
        when = f"on {ended}" if ended else f"before {min(KUBERNETES_ENDS.values())}"
        raise Refusal(
            f"Kubernetes 1.{minor} ended {when}, and the GPU Operator no longer supports it",
            allowed=f"1.{first} to 1.{last}",
            remedy=f"Write {RKE2}.",
        )
    return text


def rke2_warning(version: str) -> str:
    """What the user of this release should know; empty when there is nothing. `version` is one that is taken."""
    minor = int(version.split(".")[1])
    last = KUBERNETES_MINORS[1]
    if minor > last:
        return f"Kubernetes 1.{minor} is newer than what this program knows of {AS_OF}: 1.{last} is its last"
    ends = KUBERNETES_ENDS[minor]
    return f"Kubernetes 1.{minor} has had no more fixes since {ends}" if ends < AS_OF else ""


def operator_version(text: str) -> str:
    """A chart version of the GPU Operator that is not at its end of support."""
    match = re.fullmatch(r"v(\d{2}\.\d{1,2})\.\d+", text)
    if match is None:
        raise Refusal("not a GPU Operator release", allowed="vYY.M.P", remedy=f"Write {OPERATOR}.")
    if _numbers(match[1]) < _numbers(SUPPORTED_OPERATORS[0]):
        ended = OPERATOR_ENDS.get(match[1])
        raise Refusal(
            f"support of GPU Operator {match[1]} ended in {ended}" if ended else f"no release of NVIDIA's: {match[1]}",
            allowed=", ".join(f"v{release}.x" for release in SUPPORTED_OPERATORS),
            remedy=f"Write {OPERATOR}.",
        )
    return text


def operator_warning(version: str) -> str:
    """What the user of this chart should know; empty when there is nothing. `version` is one that is taken."""
    release = version.removeprefix("v").rpartition(".")[0]
    if release in SUPPORTED_OPERATORS:
        return ""
    known = ", ".join(SUPPORTED_OPERATORS)
    return f"GPU Operator {release} is none of those this program knows of {AS_OF}: {known}"


def toolkit_version(text: str) -> str:
    """An exact Debian version of the container toolkit."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)-(\d+)", text)
    remedy = f"Write {TOOLKIT}."
    if match is None:
        raise Refusal("not a package version of nvidia-container-toolkit", allowed="X.Y.Z-N", remedy=remedy)
    if (int(match[1]), int(match[2])) < TOOLKIT_MINORS[0]:
        raise Refusal("too old for the CDI that the GPU Operator turns on", allowed="1.18.0-1 or newer", remedy=remedy)
    return text


def toolkit_warning(version: str) -> str:
    """What the user of this toolkit should know; empty when there is nothing. `version` is one that is taken."""
    major, minor = _numbers(version.partition("-")[0])[:2]
    last = TOOLKIT_MINORS[1]
    if (major, minor) <= last:
        return ""
    return f"toolkit {major}.{minor} is newer than what this program knows of {AS_OF}: {last[0]}.{last[1]} is its last"


def driver_branch(branch: int, ubuntu: str) -> Refusal | None:
    """Why Canonical has no prebuilt, signed modules of this branch for this Ubuntu; None when it has."""
    if branch > max(DRIVER_BRANCHES):
        return None
    known = DRIVER_BRANCHES.get(branch, DriverBranch(why_not="is not a server branch that Canonical signs"))
    if ubuntu in known.ubuntu:
        return None
    allowed = ", ".join(str(number) for number, other in DRIVER_BRANCHES.items() if ubuntu in other.ubuntu)
    return Refusal(
        f"driver branch {branch} {known.why_not} (Ubuntu {ubuntu})", allowed=allowed, remedy=f"Write {DRIVER_BRANCH}."
    )


def driver_warning(branch: int) -> str:
    """What the user of this branch should know; empty when there is nothing. `branch` is one that is taken."""
    last = max(DRIVER_BRANCHES)
    if branch > last:
        return f"driver branch {branch} is newer than what this program knows of {AS_OF}: {last} is its last"
    beware = DRIVER_BRANCHES[branch].beware
    return beware and f"{beware} (Ubuntu's index of {AS_OF})"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
