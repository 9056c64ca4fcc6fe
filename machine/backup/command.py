"""The subcommands of a backup and a restore, which people call over SSH from their own machine."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from machine.backup import rejoin, restore, take
from machine.converge.run import LOCK
from machine.documents.backup import Rejoin, Restore
from machine.host import console, lock
from machine.host.errors import UsageError
from machine.host.this_machine import ThisMachine

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_LOCK_SECONDS = 300


def add_parser(subparsers: "Subparsers") -> None:
    """Add the subcommands. Each sets `run`: (machine, arguments) -> exit code; it may raise MachineError."""
    words = "save the cluster's datastore and print it with what reads it, on a server; it is secret"
    parser = subparsers.add_parser("backup", help=words, description=words)
    parser.set_defaults(run=lambda machine, _: take.take(machine))
    words = "make the backup on standard input the datastore of this server"
    parser = subparsers.add_parser("restore", help=words, description=words)
    parser.add_argument("--check", action="store_true", help="only say whether it can be done")
    parser.add_argument("--end", action="store_true", help="all machines are back: nothing is under way any more")
    parser.set_defaults(run=_restore)
    words = "come back to the cluster that another server has restored, as standard input says"
    parser = subparsers.add_parser("rejoin", help=words, description=words)
    parser.add_argument("--check", action="store_true", help="only say whether it can be done")
    parser.add_argument("--stop", action="store_true", help="stop the RKE2 of a server, before another one restores")
    parser.set_defaults(run=_rejoin)


def _restore(machine: ThisMachine, options: argparse.Namespace) -> int:
    if options.end:
        return restore.end(machine)
    order = console.received(Restore)
    if options.check:
        return restore.check(machine, order)
    return _exclusive(machine, lambda: restore.restore(machine, order))


def _rejoin(machine: ThisMachine, options: argparse.Namespace) -> int:
    order = console.received(Rejoin)
    if options.check:
        return rejoin.check(machine, order)
    return _exclusive(machine, lambda: (rejoin.stop if options.stop else rejoin.rejoin)(machine, order))


def _exclusive(machine: ThisMachine, run: Callable[[], int]) -> int:
    """Hold the lock of runs: one that brings this machine to another state may restart RKE2."""
    words = "a run of `pulumi up`, of a boot or of another restore is under way here"

    def told() -> None:
        console.say(f"waits: {words}")

    with lock.held(machine.path(LOCK), machine.clock, seconds=_LOCK_SECONDS, told=told) as free:
        if not free:
            raise UsageError(f"nothing was changed: {words}. Try again when it has ended")
        return run()
