"""`mig-k8s update`: what the stack decides of this machine is written, and the machine brought there.

And `mig-k8s rotate-certificates`, which changes what no stack file decides.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from machine.converge.commands import resume
from machine.documents import desired_state
from machine.documents.configuration import (
    NODE_PASSWORD_PATH,
    RKE2_AGENT_TOKEN_PATH,
    RKE2_CONFIG_PATH,
    RKE2_TOKEN_PATH,
    Configuration,
)
from machine.host import files
from machine.host.console import report, row
from machine.host.this_machine import ThisMachine
from machine.kubernetes import joining, server_token
from machine.update import agent_token, authorized_keys, certificate_rotation, founding, host_keys, rke2_upgrade

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    parser = subparsers.add_parser("rotate-certificates", help="have RKE2 make its certificates anew, pods go on")
    parser.set_defaults(run=lambda machine, _: certificate_rotation.rotate(machine))
    words = "write the configuration on standard input and bring the machine there, following"
    parser = subparsers.add_parser("update", help=words, description=words)
    words = "private address of a server that it can join the cluster by; may be repeated"
    parser.add_argument("--join", metavar="ADDRESS", action="append", default=[], help=words)
    parser.set_defaults(run=_run)


def _run(machine: ThisMachine, options: argparse.Namespace) -> int:
    return update(machine, Configuration.from_json(sys.stdin.read()), options.join)


def update(machine: ThisMachine, configuration: Configuration, servers: Sequence[str] = ()) -> int:
    """Write what the stack decides, then go on as `resume`. Raises DiskError; a file is then as it was.

    `servers`: the addresses that it can join the cluster by. Raises NodeError, and nothing is written, where the
    cluster here cannot take it, or there is none and the machine may not found one; UsageError on another machine.
    Who may log in, and what the machine shows them, is written before all of that: it must not wait for a cluster to be
    well.
    """
    machine.must_be(configuration.desired_state.node.name)
    administrator = configuration.administrator
    changed = administrator is not None and authorized_keys.write(machine, administrator.user, administrator.keys)
    shown = host_keys.write(machine, configuration.host_keys)
    founding.check(machine, configuration.rke2_config)
    rke2_upgrade.check(machine, configuration.desired_state.rke2)
    rke2_config = joining.rke2_config(machine, configuration, servers)
    if configuration.rke2_token is not None and configuration.rke2_agent_token is not None:
        server_token.take_over(machine, configuration.rke2_token, servers)
    elif configuration.rke2_token is not None:
        agent_token.end_waiting(machine, configuration.rke2_token)
    has_password = machine.path(NODE_PASSWORD_PATH).exists()
    wanted = {
        # A node keeps the password that the cluster knows it by, also one that RKE2 made. The token after all that a
        # first start reads, because that waits for it; the desired state last: it makes the others be looked at.
        NODE_PASSWORD_PATH: None if has_password else configuration.node_password,
        RKE2_AGENT_TOKEN_PATH: configuration.rke2_agent_token,
        RKE2_CONFIG_PATH: rke2_config,
        RKE2_TOKEN_PATH: configuration.rke2_token,
        desired_state.PATH: configuration.desired_state.to_json(),
    }
    written = (
        changed
        + shown
        + sum(
            files.write_if_changed(machine.path(path), content, 0o600)
            for path, content in wanted.items()
            if content is not None
        )
    )
    report(row("files", f"{written} written") + "\n")
    return resume(machine)
