"""Kubeconfig files: one cluster, one user, their certificates inside."""

import base64
from pathlib import Path

import yaml

from . import paths


def write(path: Path, certificate: Path, *, server: str = "https://127.0.0.1:6443", mode: int = 0o600) -> None:
    """Write a kubeconfig for the holder of `certificate` and its key. RKE2 names everything in it `default`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "default",
                "cluster": {"server": server, "certificate-authority-data": _inline(paths.AUTHORITY)},
            }
        ],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
        "users": [
            {
                "name": "default",
                "user": {
                    "client-certificate-data": _inline(certificate),
                    "client-key-data": _inline(certificate.with_suffix(".key")),
                },
            }
        ],
    }
    paths.write(path, yaml.safe_dump(content, sort_keys=False), mode)


def _inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
