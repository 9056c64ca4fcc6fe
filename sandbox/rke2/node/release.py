"""The version of this RKE2, and which others it goes together with."""

import re

from . import paths
from .error import Rke2Error

_MINOR = re.compile(r"v(\d+)\.(\d+)\.")


def version() -> str:
    """The version of the artifact, such as v1.35.7+rke2r1."""
    return (paths.SHARE / "version").read_text().strip()


def require_not_newer(own: str, servers: str) -> None:
    """Raises Rke2Error if this machine's minor version is above its server's (Kubernetes' version skew policy)."""
    if _minor(own) > _minor(servers):
        raise Rke2Error(
            f"this machine's version {own} is newer than the server's, {servers}: upgrade the servers first,"
            " or install the server's version here"
        )


def _minor(text: str) -> tuple[int, int]:
    match = _MINOR.match(text)
    if match is None:
        raise Rke2Error(f"{text!r} is no version of RKE2's")
    return int(match[1]), int(match[2])
