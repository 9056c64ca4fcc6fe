"""`rke2 server`: from config.yaml to a node that is Ready, then wait to be stopped."""

import hashlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable

from . import api, certificates, containerd, control_plane, kubelet, paths, units
from .configuration import Configuration
from .error import Rke2Error

_API_SECONDS = 120
_NODE_SECONDS = 180
_ROLES = {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true"}
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_CONTAINER_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc")


def serve(configuration: Configuration) -> None:
    """Raises Rke2Error if a part does not come up in time, with its last words."""
    _link_programs()
    control_plane.configure(configuration)
    _write_tokens(configuration.token)
    runtime = containerd.configure(configuration.default_runtime)
    node = kubelet.configure(configuration)
    # RKE2's own children end with it. After an end by force they are still there, with their old configuration.
    units.stop((node, runtime))
    _tell("STATUS=starting the API server")
    units.start((control_plane.database(), control_plane.api_server(configuration), runtime))
    _wait(api.ready, "the API server is ready", "kube-apiserver", _API_SECONDS)
    kubelet_start = int(time.time())
    units.start((*control_plane.controllers(configuration), node))
    api.ensure(
        "/apis/node.k8s.io/v1/runtimeclasses",
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"},
    )
    _tell("STATUS=waiting for this node")
    name = configuration.node_name
    _wait(lambda: api.node_is_ready(name, kubelet_start), f"node {name} is Ready", "kubelet", _NODE_SECONDS)
    api.label_node(name, _ROLES)
    print(f"rke2 is up: node {name}", flush=True)
    _tell("READY=1\nSTATUS=running")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    units.stop((node, runtime))


def version() -> str:
    """The version of the artifact, such as v1.35.7+rke2r1."""
    return (paths.SHARE / "version").read_text().strip()


def _link_programs() -> None:
    """/var/lib/rancher/rke2/bin, where RKE2 unpacks its programs."""
    paths.PROGRAMS.mkdir(parents=True, exist_ok=True)
    for name in (*_PROGRAMS, *_CONTAINER_PROGRAMS):
        link, target = paths.PROGRAMS / name, paths.SHARE / "bin" / ("kube" if name in _PROGRAMS else name)
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)


def _write_tokens(given: str | None) -> None:
    """The token others would join with; a cluster keeps its first one, as RKE2's does."""
    if paths.TOKEN.exists():
        password = paths.TOKEN.read_text().strip()
        if given is not None and given != password:
            raise Rke2Error(f"token: this cluster was made with another one ({paths.TOKEN}); give that, or none")
    else:
        password = given or secrets.token_hex(16)
        paths.write(paths.TOKEN, password + "\n")
    authority = hashlib.sha256(certificates.AUTHORITY.read_bytes()).hexdigest()
    paths.write(paths.NODE_TOKEN, f"K10{authority}::server:{password}\n")


def _wait(done: Callable[[], bool], what: str, unit: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Rke2Error(f"waited {seconds:.0f} s until {what}. The last words of {unit}:\n{units.last_words(unit)}")
        time.sleep(0.1)


def _tell(state: str) -> None:
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
