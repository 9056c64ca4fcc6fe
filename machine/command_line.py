"""`mig-k8s SUBCOMMAND`: the one command of a machine. Documents come on standard input, reports go to standard output.

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 (ready) the machine is about to reboot: call again.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from machine.converge.commands import ready, resume, update
from machine.converge.run import converge
from machine.converge.verdict import status
from machine.documents.configuration import Configuration
from machine.documents.form import DocumentError
from machine.gpu import commands as gpu_commands
from machine.host.console import say
from machine.host.errors import MachineError, UsageError
from machine.host.signals import Interrupted
from machine.host.this_machine import ThisMachine
from machine.kubernetes import commands as kubernetes_commands
from machine.release.install import install

Run = Callable[[ThisMachine, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None, machine: ThisMachine | None = None) -> int:
    """Run a subcommand on this machine; the exit code."""
    options = _parser().parse_args(arguments)
    run: Run = options.run
    try:
        return run(machine or ThisMachine(), options)
    except DocumentError as error:
        say(f"mig-k8s: standard input: {error}")
        return 2
    except MachineError as error:
        say(f"mig-k8s: {error}")
        return error.exit_code
    except OSError as error:
        say(f"mig-k8s: {error}")
        return 1
    except Interrupted as signal:
        say(f"mig-k8s: ended by {signal}")
        return 1


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mig-k8s", description="The GPUs and the Kubernetes node of this machine.")
    subparsers = parser.add_subparsers(required=True, metavar="SUBCOMMAND")

    def add(name: str, words: str, run: Run) -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, help=words, description=words)
        added.set_defaults(run=run)
        return added

    add("status", "tell how far this machine is and change nothing", lambda machine, _: status(machine))
    updating = add(
        "update", "write the configuration on standard input and bring the machine there, following", _update
    )
    words = "private address of a server that it can join the cluster by; may be repeated"
    updating.add_argument("--join", metavar="ADDRESS", action="append", default=[], help=words)
    add("converge", "run the stages that are left to do, as the service does", lambda machine, _: converge(machine))
    add("resume", "go on where the last run ended, as after a reboot, following", lambda machine, _: resume(machine))
    add("ready", "follow until all is done, then print the result", lambda machine, _: ready(machine))
    gpu_commands.add_parser(subparsers)
    kubernetes_commands.add_parser(subparsers)
    if find_spec("machine.verification") is None:  # a machine is made without it
        add("verify", "not in this release: the next `pulumi up` brings it", _no_verification)
    else:
        import_module("machine.verification.command").add_parser(subparsers)
    installing = add(
        "install",
        "make the release that this program belongs to the current one",
        lambda machine, options: install(machine, if_none=options.if_none),
    )
    installing.add_argument("--if-none", action="store_true", help="only where there is no release yet")
    return parser


def _update(machine: ThisMachine, options: argparse.Namespace) -> int:
    return update(machine, Configuration.from_json(sys.stdin.read()), options.join)


def _no_verification(_machine: ThisMachine, _options: argparse.Namespace) -> int:
    raise UsageError(
        "this machine has the release that it was made with, which cannot verify. `pulumi up` brings the whole one"
    )
