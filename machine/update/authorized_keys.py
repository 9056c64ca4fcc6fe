"""Who may log in to this machine as its administrator, by SSH: the keys of the stack file, and what people added."""

from collections.abc import Sequence

from machine.host import files
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine

_OURS = "mig-k8s:ssh"
"""Ends the comment of each key of the stack file, to recognise it when the stack file does not have it any more."""


def write(machine: ThisMachine, user: str, keys: Sequence[str]) -> bool:
    """Let in these keys, and no others of earlier stack files. Returns whether anything changed.

    The lines of others stay as they are. Raises MachineError when there is no such user, DiskError.
    """
    home = machine.path(f"/home/{user}")
    if not home.is_dir():
        raise MachineError(f"{home} is not there: is {user} (vm.adminUsername) still this machine's administrator?")
    path = home / ".ssh" / "authorized_keys"
    there = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    bodies = {key.split()[1] for key in keys}
    # Such a line as Azure wrote it when the machine was made becomes ours.
    others = [line for line in there.splitlines() if not line.endswith(f" {_OURS}") and not bodies & set(line.split())]
    wanted = "".join(f"{line}\n" for line in [*others, *(f"{key} {_OURS}" for key in dict.fromkeys(keys))])
    if wanted == there:
        return False
    files.write(path, wanted, 0o600, owner=home)
    return True
