"""`mig-k8s SUBCOMMAND`: the one command of a machine. Documents come on standard input, reports go to standard output.

Exit codes: 0 done, 1 failed, 2 wrong usage, 75 (ready) the machine is about to reboot: call again.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from machine.converge.commands import ready, resume
from machine.converge.run import converge
from machine.converge.verdict import status
from machine.documents.form import DocumentError
from machine.gpu import commands as gpu_commands
from machine.host.console import say
from machine.host.errors import MachineError, UsageError
from machine.host.signals import Interrupted
from machine.host.this_machine import ThisMachine
from machine.kubernetes import commands as kubernetes_commands
from machine.release.install import install

_LATER = {
    "machine.backup.command": ("backup", "restore", "rejoin"),
    "machine.cluster.commands": ("remove-node", "limit-turns", "end-turn"),
    "machine.mig_manager.command": ("free", "label"),
    "machine.update.command": ("update", "rotate-certificates"),
    "machine.verification.command": ("verify",),
}
"""Modules that a machine is made without, with their subcommands: nobody can call them before `pulumi up`."""
Run = Callable[[ThisMachine, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None, machine: ThisMachine | None = None) -> int:
    """Run a subcommand on this machine and return the exit code."""
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
    except UnicodeDecodeError:  # not its text: what was read may be secret
        say("mig-k8s: what was read, a file or standard input, is not UTF-8 text. `pulumi up` sends it again")
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
    add("converge", "run the stages that are left to do, as the service does", lambda machine, _: converge(machine))
    add("resume", "go on where the last run ended, as after a reboot, following", lambda machine, _: resume(machine))
    add("ready", "follow until all is done, then print the result", lambda machine, _: ready(machine))
    gpu_commands.add_parser(subparsers)
    kubernetes_commands.add_parser(subparsers)
    for module, names in _LATER.items():
        if find_spec(module.rpartition(".")[0]) is not None:
            import_module(module).add_parser(subparsers)
            continue
        for name in names:
            add(name, "not in this release: the next `pulumi up` brings it", _not_yet)
    installing = add(
        "install",
        "make the release that this program belongs to the current one",
        lambda machine, options: install(machine, if_none=options.if_none),
    )
    installing.add_argument("--if-none", action="store_true", help="only where there is no release yet")
    return parser


def _not_yet(_machine: ThisMachine, _options: argparse.Namespace) -> int:
    raise UsageError(
        "this machine has the release that it was made with, which lacks this command. `pulumi up` brings the whole one"
    )
