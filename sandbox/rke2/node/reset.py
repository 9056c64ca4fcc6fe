"""`rke2 server --cluster-reset --cluster-reset-restore-path`: a snapshot becomes this server's datastore.

In the order of k3s (pkg/cli/server, pkg/cluster/managed.go, pkg/etcd: Reset, Restore): this server is its only member,
and the token is asked last, when the old datastore has been moved aside already.
"""

import socket
import subprocess
import time
from pathlib import Path

from . import bootstrap, certificates, etcd, paths, service, units
from .configuration import Configuration
from .error import Rke2Error
from .supervisor import PORT

_PROGRAM = "etcdutl"
_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "etcd")
_ETCD_SECONDS = 60


def restore(configuration: Configuration, snapshot: Path) -> None:
    """Restore the snapshot. Then the server starts without the flags, and others join it empty. Raises Rke2Error."""
    _check(configuration, snapshot)
    service.link_programs()
    units.stop_by_name(*_CONTROL_PLANE)
    certificates.make_authorities()  # etcd runs with this machine's own; the cluster's come out of the snapshot
    _replace_datastore(configuration, snapshot)
    paths.write(paths.RESET_FLAG, "")
    units.start((etcd.unit(configuration),))
    service.wait(lambda: etcd.is_learner() is not None, "etcd answers", "etcd", _ETCD_SECONDS)
    bootstrap.restore(configuration)
    units.stop_by_name("etcd")
    print(
        "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete"
        " ${datadir}/server/db on each peer etcd server and rejoin the nodes"
    )


def _check(configuration: Configuration, snapshot: Path) -> None:
    if configuration.server is not None:
        raise Rke2Error(
            "cannot perform cluster-reset while server URL is set - remove server from configuration before resetting"
        )
    if configuration.token is None and not paths.TOKEN.exists():
        raise Rke2Error(f"{paths.TOKEN} does not exist, please pass --token to complete the restoration")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", PORT))
        except OSError:
            raise Rke2Error(f"listen tcp :{PORT}: bind: address already in use") from None
    if paths.RESET_FLAG.exists():
        raise Rke2Error(
            "Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start rke2"
            f" normally. If you need to perform another cluster reset, you must first manually delete the"
            f" {paths.RESET_FLAG} file"
        )
    if not snapshot.exists():
        raise Rke2Error(f"etcd: snapshot path does not exist: {snapshot}")
    if snapshot.is_dir():
        raise Rke2Error(f"etcd: snapshot path must be a file, not a directory: {snapshot}")


def _replace_datastore(configuration: Configuration, snapshot: Path) -> None:
    paths.DATABASE.mkdir(parents=True, exist_ok=True, mode=0o700)
    old = paths.DATABASE.with_name(f"etcd-old-{int(time.time())}")
    try:
        paths.DATABASE.rename(old)
    except OSError as error:  # another one of this second
        raise Rke2Error(f"rename {paths.DATABASE} {old}: {error.strerror}") from None
    print(f"Pre-restore etcd database moved to {old}", flush=True)
    name, peer = etcd.new_name(configuration), etcd.peer_url(configuration)
    who = [f"--name={name}", f"--initial-cluster={name}={peer}", f"--initial-advertise-peer-urls={peer}"]
    command = [str(paths.PROGRAMS / _PROGRAM), "snapshot", "restore", str(snapshot), "--initial-cluster-token="]
    done = subprocess.run([*command, f"--data-dir={paths.DATABASE}", *who], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Rke2Error(f"starting kubernetes: {done.stderr.strip().splitlines()[-1]}")
    etcd.initialize(name, {name: peer}, joins=False, restored=True)
