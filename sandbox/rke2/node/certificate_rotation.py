"""`rke2 certificate rotate`: what a start then makes anew goes, but the authorities; a copy of it stays."""

import argparse
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import paths
from .error import Rke2Error

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_OF_SERVERS = {
    "admin": ("client-admin",),
    "api-server": ("client-kube-apiserver", "serving-kube-apiserver"),
    "auth-proxy": (),
    "cloud-controller": (),
    "controller-manager": ("client-controller",),
    "etcd": ("etcd/client", "etcd/server-client", "etcd/peer-server-client"),
    "scheduler": ("client-scheduler",),
    "supervisor": (),
    "rke2-server": (),
}
_OF_ALL = {"kube-proxy": (), "kubelet": ("client-kubelet", "serving-kubelet"), "rke2-controller": ()}
"""RKE2's services with their certificates; without any where nothing stands in for the service."""


def add_parser(commands: "Subparsers") -> None:
    """The subcommand; it sets `run`, which raises Rke2Error."""
    parser = commands.add_parser("certificate").add_subparsers(required=True).add_parser("rotate")
    parser.add_argument("--service", "-s", type=lambda text: text.split(","), default=[])
    parser.set_defaults(run=lambda chosen: rotate(chosen.service))


def rotate(services: list[str]) -> None:
    """Remove the certificates of these services, or of all that the machine has. RKE2 may run or not."""
    try:
        paths.FORCE_RESTART.touch(0o600)  # before anything is looked at
    except OSError as error:
        raise Rke2Error(f"open {paths.FORCE_RESTART}: {str(error.strerror).lower()}") from None
    for service in services:
        if service not in _OF_SERVERS | _OF_ALL:
            raise Rke2Error(f"service {service} is not recognized")
    is_server = paths.TLS.parent.exists()
    if not services:
        services = [*_OF_SERVERS, *_OF_ALL] if is_server else list(_OF_ALL)
        print("Server detected, rotating agent and server certificates" if is_server else "Agent detected")
    backup = _back_up()
    for service in services:
        print(f"Rotating certificates for {service}")
        for file in _files(service):
            file.unlink(missing_ok=True)
    print(
        f"Successfully backed up certificates to {backup}, please restart rke2 server or agent to rotate certificates"
    )


def _files(service: str) -> list[Path]:
    folder, names = (paths.TLS, _OF_SERVERS[service]) if service in _OF_SERVERS else (paths.AGENT, _OF_ALL[service])
    return [folder / f"{name}{suffix}" for name in names for suffix in (".crt", ".key")]


def _back_up() -> Path:
    name = f"tls-{int(time.time())}"
    backup = (paths.TLS.parent if paths.TLS.exists() else paths.AGENT) / name
    if paths.TLS.exists():
        shutil.copytree(paths.TLS, backup, dirs_exist_ok=True)
    backup.mkdir(exist_ok=True)
    for file in _files("kubelet"):
        if file.exists():
            shutil.copy2(file, backup)
    return backup
