"""Whether a machine is just being made: nobody uses its GPUs yet, so it waits for nobody."""

from machine.documents.layout import PATH
from machine.host import files
from machine.host.this_machine import ThisMachine

MARK = "/var/lib/mig-k8s/born"
"""There from the first time on that its GPUs had what they shall have."""


def is_new(machine: ThisMachine) -> bool:
    """Whether its GPUs never had their devices. A machine of an older release has remembered them."""
    return not machine.path(MARK).exists() and not machine.path(PATH).exists()


def end(machine: ThisMachine) -> None:
    """Its GPUs have their devices now. Raises DiskError."""
    if not machine.path(MARK).exists():
        files.write(machine.path(MARK), "", 0o644)
