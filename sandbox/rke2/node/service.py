"""This process as systemd's service: its programs, waiting, telling how far it is, and ending when it is told to."""

import os
import signal
import socket
import time
from collections.abc import Callable

from . import paths, units
from .error import Rke2Error

_STOPS = (signal.SIGTERM, signal.SIGINT)
_PROGRAMS = ("kubectl", "containerd", "containerd-shim-runc-v2", "runc")
_KUBE = ("etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
_OTHER_NAMES = dict.fromkeys(_KUBE, "kube") | {"ctr": "containerd"}
"""Name → the program that looks at the name it is called by."""


def hold_stops() -> None:
    """Put off a stop that comes during the start: `stopped` takes it afterwards, or systemd kills the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)


def stopped(seconds: float) -> bool:
    """Whether a stop has come, waiting for it."""
    return signal.sigtimedwait(_STOPS, seconds) is not None


def link_programs() -> None:
    """/var/lib/rancher/rke2/bin, where RKE2 unpacks its programs."""
    paths.PROGRAMS.mkdir(parents=True, exist_ok=True)
    for name in (*_PROGRAMS, *_OTHER_NAMES):
        link, target = paths.PROGRAMS / name, paths.SHARE / "bin" / _OTHER_NAMES.get(name, name)
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def wait(done: Callable[[], bool], what: str, unit: str, seconds: float) -> None:
    """Wait until it is so. Raises Rke2Error with the unit's last words when the time is over."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Rke2Error(f"waited {seconds:.0f} s until {what}. The last words of {unit}:\n{units.last_words(unit)}")
        time.sleep(0.1)


def tell(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
