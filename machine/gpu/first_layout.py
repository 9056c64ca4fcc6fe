"""The first layout of a machine: until it is made nobody uses the GPUs, so making it waits for nobody."""

from machine.documents.layout import PATH
from machine.host import files
from machine.host.this_machine import ThisMachine

MARK = "/var/lib/mig-k8s/born"
"""This file is there once the first layout is made. Living machines have it under this name."""


def is_due(machine: ThisMachine) -> bool:
    """Whether its GPUs never had their devices. A machine of an older release has remembered them."""
    return not machine.path(MARK).exists() and not machine.path(PATH).exists()


def note_made(machine: ThisMachine) -> None:
    """Note that its GPUs have their devices now. Raises DiskError."""
    if not machine.path(MARK).exists():
        files.write(machine.path(MARK), "", 0o644)
