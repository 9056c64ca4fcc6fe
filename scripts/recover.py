"""Take away what an interrupted run left, so that the next `pulumi up` goes on; say what it was.

    make recover NAME=prod [LOCK=HOST] [SSH_KEY=~/.ssh/id_ed25519]

A lock whose holder is gone, operations that the state waits for, Azure resources that were made and not noted, and a
Helm release that was not finished. Nothing that is there is deleted. Run again, or cut off, it goes on.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence

from scripts import helm_release, pending_operations
from scripts.engine import Engine
from scripts.stack import CHECKOUT, Stack, StackError, identity
from scripts.stack_lock import end_lock


def main(arguments: list[str]) -> int:
    """Recover the stack and say what was done; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.recover", description="End what an interrupted run left.")
    parser.add_argument("stack", metavar="STACK", help="name of a stack of yours")
    parser.add_argument("--lock", default="", metavar="HOST", help="end the lock that this other host has, too")
    options = parser.parse_args(arguments)
    try:
        stack = Stack(options.stack)
        engine = Engine(stack=stack.name, folder=CHECKOUT, variables=stack.with_passphrase)
        recover(engine, identity(stack.name), ended=options.lock)
    except StackError as error:
        print(f"recover: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrecover: interrupted; run again, it goes on", file=sys.stderr)
        return 130
    return 0


def recover(engine: Engine, identity: Sequence[str], *, ended: str = "") -> None:
    """Say, one line each, what was taken away. Raises StackError, with whatever came before it done.

    `identity`: words for ssh that name the administrator's key. `ended`: a host whose lock is ended all the same.
    """
    done = _said(end_lock(engine, ended))
    done += _said(helm_release.settle(engine, identity))
    done += _said(pending_operations.settle(engine))
    print("the next `pulumi up` goes on from here" if done else "nothing was interrupted: there is nothing to do")


def _said(lines: Iterable[str]) -> int:
    """Say each as soon as it is done; how many there were."""
    count = 0
    for line in lines:
        print(line, flush=True)
        count += 1
    return count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
