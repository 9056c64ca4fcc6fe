"""`rke2 server|agent [--config FILE]`, `rke2 token|certificate rotate`, `rke2 etcd-snapshot save|ls|prune|delete`.

The version is told by the program that calls this.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import agent, certificate_rotation, configuration, etcd_snapshots, paths, reset, server, service
from .api import ApiError
from .configuration import Configuration
from .error import Rke2Error
from .etcd import EtcdError
from .join_token import JoinToken
from .supervisor import PORT
from .upstream import Upstream, UpstreamError


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="rke2", description="Rancher Kubernetes Engine v2, a stand-in for sandboxes.")
    commands = parser.add_subparsers(required=True)
    for role, serve in (("server", server.serve), ("agent", agent.serve)):
        command = commands.add_parser(role)
        command.add_argument("--config", "-c", type=Path, default=paths.CONFIGURATION)
        command.set_defaults(run=lambda chosen, serve=serve: _serve(serve, chosen.config))
        if role == "server":
            command.add_argument("--cluster-reset", action="store_true")
            command.add_argument("--cluster-reset-restore-path", type=Path)
            command.set_defaults(run=_run_server)
    token = commands.add_parser("token").add_subparsers(required=True).add_parser("rotate")
    token.add_argument("--token", "-t", default=os.environ.get("RKE2_TOKEN"))
    token.add_argument("--server", "-s", default=os.environ.get("RKE2_URL", f"https://127.0.0.1:{PORT}"))
    token.add_argument("--new-token", required=True)  # RKE2 takes it here only, and makes a random one without it
    token.set_defaults(run=_rotate)
    etcd_snapshots.add_parser(commands)
    certificate_rotation.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (Rke2Error, ApiError, EtcdError, UpstreamError) as error:
        print(f"rke2: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(serve: Callable[[Configuration], None], config: Path) -> None:
    service.hold_stops()
    serve(configuration.read(config))


def _run_server(chosen: argparse.Namespace) -> None:
    if not chosen.cluster_reset:
        if chosen.cluster_reset_restore_path:
            raise Rke2Error("invalid flag use; --cluster-reset required with --cluster-reset-restore-path")
        _serve(server.serve, chosen.config)
    elif chosen.cluster_reset_restore_path is None:
        raise Rke2Error("cluster-reset without a snapshot: not stood in for")
    else:
        reset.restore(configuration.read(chosen.config), chosen.cluster_reset_restore_path)


def _rotate(chosen: argparse.Namespace) -> None:
    print(
        "WARNING: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token"
        " associated with that snapshot."
    )
    known = chosen.token or (paths.TOKEN.read_text().strip() if paths.TOKEN.exists() else "")
    upstream = Upstream.find(chosen.server, "server", JoinToken.parse(known))
    upstream.put("token", {"newToken": chosen.new_token})
    print("Token rotated, restart rke2 nodes with new token")
