"""`rke2 server|agent [--config FILE]` and `rke2 --version`."""

import argparse
import signal
import sys
from pathlib import Path

from . import configuration, paths, server
from .error import Rke2Error


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="rke2", description="Rancher Kubernetes Engine v2, a stand-in for sandboxes.")
    parser.add_argument("--version", action="version", version=f"rke2 version {server.version()} (stand-in)")
    parser.add_argument("role", choices=("server", "agent"))
    parser.add_argument("--config", "-c", type=Path, default=paths.CONFIGURATION)
    chosen = parser.parse_args(arguments)
    # Blocked from the first moment: a stop during the start is taken at its end by sigwait, or by systemd's SIGKILL.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        if chosen.role == "agent":
            raise Rke2Error("agent: joining is not stood in for yet: one server machine is a cluster")
        server.serve(configuration.read(chosen.config))
    except Rke2Error as error:
        print(f"rke2: {error}", file=sys.stderr)
        return 1
    return 0
