"""The subcommands that stages and `pulumi up` call on a node."""

import argparse
from typing import TYPE_CHECKING

from machine.kubernetes import before_reboot, joining, server_token

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    parser = subparsers.add_parser("keep-tokens", help="have RKE2 keep this server's tokens over its next start")
    parser.set_defaults(run=lambda machine, _: server_token.keep(machine))
    parser = subparsers.add_parser("before-reboot", help="tell whether the pods of users here may end, as they would")
    parser.set_defaults(run=lambda machine, _: before_reboot.ask(machine))
    words = "let this machine found a cluster if none is on its disk and no server answers"
    parser = subparsers.add_parser("permit-founding", help=words)
    parser.set_defaults(run=lambda machine, _: joining.permit_founding(machine))
