"""The subcommands of a server about other machines, which only `pulumi up` and people call."""

import argparse
from typing import TYPE_CHECKING

from machine.cluster import removal, turns_of_others
from machine.documents.node_removal import NodeRemoval
from machine.documents.turns import Limit
from machine.host import console
from machine.host.this_machine import ThisMachine

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    parser = subparsers.add_parser("remove-node", help="take another machine out of the cluster, its pods first")
    parser.set_defaults(run=lambda machine, _: remove_node(machine))
    parser = subparsers.add_parser("limit-turns", help="say on a server how many agents may be out at once")
    parser.set_defaults(run=lambda machine, _: limit_turns(machine))
    parser = subparsers.add_parser(
        "end-turn", help="end the turn of this agent, or on a server of any, that nobody ends"
    )
    parser.add_argument("node", nargs="?", help="another machine's name, on a server")
    parser.set_defaults(run=lambda machine, options: end_turn(machine, options.node))


def remove_node(machine: ThisMachine) -> int:
    """Take a machine out of the cluster, on a server of it. Returns 0. Raises MachineError."""
    leaving = console.received(NodeRemoval)
    removal.remove(machine, leaving)
    turns_of_others.forget(machine, leaving.node)
    return 0


def limit_turns(machine: ThisMachine) -> int:
    """Say, on a server, how many agents may be out at once. Returns 0. Raises MachineError."""
    turns_of_others.limit(machine, console.received(Limit).agents_at_once)
    return 0


def end_turn(machine: ThisMachine, node: str | None) -> int:
    """End the turn of a machine, by default of this one. Returns 0. Raises MachineError."""
    turns_of_others.end(machine, node or machine.desired_state().node.name)
    return 0
