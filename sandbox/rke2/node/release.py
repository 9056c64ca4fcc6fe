"""The version of this RKE2, and which others it goes together with."""

import functools
import re

from . import paths
from .error import Rke2Error

_MINOR = re.compile(r"v(\d+)\.(\d+)\.")


@functools.cache
def version() -> str:
    """The version of the artifact that this process was started from, such as v1.35.7+rke2r1.

    Asked for at the start: later another artifact may lie there.
    """
    return (paths.SHARE / "version").read_text().strip()


def require_not_newer(own: str, servers: str) -> None:
    """Raises Rke2Error if this machine's minor version is above its server's (Kubernetes' version skew policy)."""
    if _minor(own) > _minor(servers):
        raise Rke2Error(
            f"this machine's version {own} is newer than the server's, {servers}: upgrade the servers first,"
            " or install the server's version here"
        )


def require_data_of_no_newer_minor() -> None:
    """Raises Rke2Error where an API server of a newer minor has written to this server's data."""
    known = paths.DATA_VERSION.read_text().strip() if paths.DATA_VERSION.exists() else version()
    if _minor(known) > _minor(version()):
        raise Rke2Error(
            f"the datastore was written by {known}, and {version()} cannot go on with it: install {known}, or restore"
            " a snapshot that was taken with this minor"
        )


def note_data() -> None:
    """An API server of this version writes to the data here from now on."""
    paths.write(paths.DATA_VERSION, version() + "\n")


def _minor(text: str) -> tuple[int, int]:
    match = _MINOR.match(text)
    if match is None:
        raise Rke2Error(f"{text!r} is not a version of RKE2")
    return int(match[1]), int(match[2])
