"""What is paused for a change of the GPUs, noted on disk, so that whoever comes after a killed run starts it again."""

from collections.abc import Iterable

from machine.gpu import services
from machine.host import files
from machine.host.this_machine import ThisMachine
from machine.kubernetes import gpu_clients
from machine.kubernetes.node import Node

MARK = "/var/lib/mig-k8s/paused"
KUBERNETES = "kubernetes"
"""In the mark, for the GPU clients of the node; all other words in it are units."""


def note(machine: ThisMachine, units: Iterable[str], *, clients: bool) -> None:
    """Note what is about to be paused, besides what a killed run left paused. Raises DiskError."""
    paused = {*_noted(machine), *units, *([KUBERNETES] if clients else [])}
    files.write(machine.path(MARK), "\n".join(sorted(paused)), 0o644)


def start_again(machine: ThisMachine) -> None:
    """Start everything that is paused. Where Kubernetes does not run yet its part stays noted. Raises NodeError."""
    paused = _noted(machine)
    services.start(machine, sorted({*paused} - {KUBERNETES}))
    if KUBERNETES in paused:
        node = Node.running(machine)
        if node is None:
            files.write(machine.path(MARK), KUBERNETES, 0o644)  # the rke2 stage comes back to it
            return
        gpu_clients.start(node)
    machine.path(MARK).unlink(missing_ok=True)


def _noted(machine: ThisMachine) -> list[str]:
    path = machine.path(MARK)
    return path.read_text(encoding="utf-8").split() if path.exists() else []
