"""Bring a living cluster's datastore, and what reads it, into one encrypted file on this machine.

    make backup NAME=prod [FILE=prod.backup] [SSH_KEY=~/.ssh/id_ed25519]

The first server that lets you in saves a fresh snapshot of etcd. The file is encrypted by the stack's own secrets
provider (docs/operations.md); nothing is changed on any machine.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from machine.documents.backup import Backup
from machine.documents.form import DocumentError
from scripts import sealed_file
from scripts.stack import NO_WAY_IN, Stack, StackError, older_release


def main(arguments: list[str]) -> int:
    """Save, and say where; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.backup", description="Save a living cluster's datastore.")
    parser.add_argument("stack", metavar="STACK", help="name of a stack of yours")
    parser.add_argument("--file", type=Path, metavar="FILE", help="where to; by default named by stack and time")
    options = parser.parse_args(arguments)
    try:
        stack = Stack(options.stack)
        with stack.machines() as machines:
            saved = taken([machine.ssh for machine in machines if machine.role == "server"])
        path = options.file or Path(f"{stack.name}-{saved.taken.replace(':', '')}.backup")
        about = {"stack": stack.name, "taken": saved.taken, "node": saved.node, "release": saved.release}
        sealed_file.write(path, stack, about, saved.to_json().encode())
    except StackError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbackup: interrupted; no file was written", file=sys.stderr)
        return 130
    print(
        f"{path}: the cluster of {stack.name} as {saved.node} had it at {saved.taken}, RKE2 {saved.release}.\n"
        f"It is encrypted as the secrets in {stack.file.name} are: keep that file and its passphrase, elsewhere too."
    )
    return 0


def taken(ways: Sequence[Sequence[str]]) -> Backup:
    """What the first server saves that lets one in. Raises StackError."""
    for ssh in ways:
        command = [*ssh, "sudo mig-k8s backup"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == NO_WAY_IN and not done.stdout:
            print(f"`{shlex.join(ssh)}` does not get in", file=sys.stderr)
            continue
        if done.returncode:
            raise StackError(f"the machine did not save its cluster, see above{older_release(done.returncode)}")
        try:
            backup = Backup.from_json(done.stdout)
            backup.content()
        except DocumentError as error:
            raise StackError(f"what came is not whole: {error}. Try again") from None
        return backup
    raise StackError(
        "no server lets you in, see above. Is one on, your address in adminCidrs, your key the one of ssh.publicKey"
        " (SSH_KEY=FILE names one)?"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
