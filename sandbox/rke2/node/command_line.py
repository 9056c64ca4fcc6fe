"""`rke2 server|agent [--config FILE]` and `rke2 --version`."""

import argparse
import sys
from pathlib import Path

from . import agent, configuration, paths, release, server, service
from .api import ApiError
from .error import Rke2Error
from .etcd import EtcdError


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="rke2", description="Rancher Kubernetes Engine v2, a stand-in for sandboxes.")
    parser.add_argument("--version", action="version", version=f"rke2 version {release.version()} (stand-in)")
    parser.add_argument("role", choices=("server", "agent"))
    parser.add_argument("--config", "-c", type=Path, default=paths.CONFIGURATION)
    chosen = parser.parse_args(arguments)
    service.hold_stops()
    try:
        serve = server.serve if chosen.role == "server" else agent.serve
        serve(configuration.read(chosen.config))
    except (Rke2Error, ApiError, EtcdError) as error:
        print(f"rke2: {error}", file=sys.stderr)
        return 1
    return 0
