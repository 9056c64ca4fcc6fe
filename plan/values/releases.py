"""Which releases exist and go together: driver × GPU × chart × Kubernetes × Ubuntu × Secure Boot.

One table, as read on 2026-11-23:

- GPU Operator: 26.6 and 26.7 supported, 26.3 deprecated, 25.10 and older end of life; with RKE2 on Kubernetes 1.33 to
  1.36 and Ubuntu 22.04, 24.04 (NVIDIA cloud-native-docs for v26.7).
- NVIDIA driver: 580 is the long-term server branch (to June 2028) that Canonical signs for 22.04 and 24.04; 595 and 610
  are not among Canonical's server packages as read; 535 ended June 2026, 515 to 570 before (NVIDIA driver branches).
- Container toolkit: 1.18 and newer speak the CDI that GPU Operator ≥ 25.10 turns on (NVIDIA cloud-native-docs).
- RKE2: `vX.Y.Z+rke2rN` (rancher/rke2 releases); containerd 2, which CDI needs, since 1.31.6.
"""

import re

from plan.problems import Refusal

KUBERNETES_MINORS = (33, 36)
NEWEST_RKE2 = {33: "v1.33.13+rke2r2", 34: "v1.34.10+rke2r1", 35: "v1.35.7+rke2r1", 36: "v1.36.3+rke2r1"}
OPERATOR_RELEASES = ("26.3", "26.6", "26.7")
NEWEST_OPERATOR = "v26.7.0"
DRIVER_BRANCHES = {580: ("22.04", "24.04")}
ENDED_BRANCHES = (450, 470, 510, 515, 525, 535, 550, 570)
OLDEST_TOOLKIT = (1, 18)


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
    """Whether Canonical's prebuilt, signed modules of this branch exist for this Ubuntu."""
    if ubuntu in DRIVER_BRANCHES.get(branch, ()):
        return None
    why = "is at its end of life" if branch in ENDED_BRANCHES else "is no server branch that Canonical signs"
    allowed = ", ".join(str(known) for known, releases in DRIVER_BRANCHES.items() if ubuntu in releases)
    return Refusal(f"driver branch {branch} {why} (Ubuntu {ubuntu})", allowed=allowed, remedy=f"Write {allowed}.")
