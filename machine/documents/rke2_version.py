"""Releases of RKE2, as the desired state and the stack file write them: which one a cluster can go to from another."""

import re

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.\d+\+rke2r\d+")


def refused_step(old: str, new: str) -> str:
    """Why a cluster cannot go from a release to another, and what to do; empty when it can.

    Within a minor it goes to any patch, older ones too. Releases of a form that is not known are left to RKE2.
    """
    before, after = minor(old), minor(new)
    if before is None or after is None or after in (before, before + 1):
        return ""
    if after < before:
        return (
            f"from {old} to {new} Kubernetes would go back by a minor, and it cannot read what the newer one has"
            f" written. Keep a release of v1.{before}; a snapshot from before the upgrade is restored with the release"
            " that it was saved by"
        )
    return (
        f"from {old} to {new} a minor of Kubernetes would be left out. Take a release of v1.{before + 1} first,"
        f" `pulumi up`, then {new}"
    )


def minor(release: str) -> int | None:
    """36 of v1.36.4+rke2r1; None for a text of another form."""
    found = _RELEASE.fullmatch(release)
    return int(found[2]) if found else None
