"""The subcommands that change the GPUs of this machine: apply, modes, boot, start-clients."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from machine.documents.form import DocumentError
from machine.documents.layout import Layout
from machine.gpu import apply, boot, modes, paused
from machine.gpu.all_gpus import exclusive
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.errors import UsageError
from machine.host.this_machine import ThisMachine

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    parser = subparsers.add_parser(
        "apply",
        help="make the GPUs match a layout, and keep every instance that can stay",
        description="Make the GPUs of this machine match a layout, and remember it for boots. A report goes to "
        "standard output when that succeeds. Exit codes: 0 they match (--dry-run: they can), 1 refused or failed, "
        "2 wrong usage or layout.",
    )
    parser.add_argument("--layout", metavar="FILE", default="-", help="the layout; `-`, the default: standard input")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    parser.add_argument("--drain", action="store_true", help="evict pods that hold a device that must go")
    parser.add_argument("--json", action="store_true", help="print the report also when it fails")
    parser.add_argument("--node", metavar="NAME", help="refuse on a machine of another name")
    parser.set_defaults(run=_apply)
    parser = subparsers.add_parser("modes", help="set the MIG modes of the desired state: the mig-mode stage")
    words = "end without a change where one would disturb somebody: before that the machine takes its turn"
    parser.add_argument("--asks-turn", action="store_true", help=words)
    parser.set_defaults(run=_modes)
    parser = subparsers.add_parser("boot", help="make the remembered layout: mig-k8s-instances.service")
    parser.set_defaults(run=_boot)
    parser = subparsers.add_parser("start-clients", help="start GPU clients and services that a killed run left paused")
    parser.set_defaults(run=_start_clients)


def _apply(machine: ThisMachine, arguments: argparse.Namespace) -> int:
    if arguments.node is not None:
        machine.must_be(arguments.node)
    options = {"drain": arguments.drain, "dry_run": arguments.dry_run, "json": arguments.json}
    return apply.apply(NvidiaSmi(machine), _layout(arguments.layout), **options)


def _layout(name: str) -> Layout:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        return Layout.from_json(text)
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        raise UsageError(str(error)) from error


def _modes(machine: ThisMachine, arguments: argparse.Namespace) -> int:
    mig = machine.desired_state().mig
    if mig is None:
        raise UsageError("the desired state says nothing of MIG: its modes are not set on this machine")
    return modes.modes(NvidiaSmi(machine), mig, asks_turn=arguments.asks_turn)


def _boot(machine: ThisMachine, _arguments: argparse.Namespace) -> int:
    return boot.boot(NvidiaSmi(machine))


def _start_clients(machine: ThisMachine, _arguments: argparse.Namespace) -> int:
    with exclusive(machine):
        paused.start_again(machine)
    return 0
