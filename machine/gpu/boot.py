"""What a boot does: it makes each remembered instance again where it was, on every GPU that can take its own."""

from collections.abc import Iterator

from machine.documents.layout import GpuLayout
from machine.gpu import remembered, report
from machine.gpu.all_gpus import AllGpus, exclusive
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host.console import say
from machine.host.this_machine import ThisMachine


def boot(smi: NvidiaSmi) -> int:
    """Make the remembered instances and tell. Returns the exit code. Raises UsageError when the layout or the desired
    state is not understood.

    No pod is evicted: at a boot none holds a device yet, and a call by hand must not get around mig.onChange.
    """
    machine = smi.machine
    with exclusive(machine):
        made = AllGpus(smi, at_boot=True).make(list(_current(machine)))
    report.tell(made)
    return 0 if report.is_good(made) else 1


def _current(machine: ThisMachine) -> Iterator[GpuLayout]:
    """The remembered layout, without GPUs whose wanted mode has changed since or whose MIG is not ours any more."""
    layout = remembered.recall(machine)
    if layout is None:
        return
    mig = machine.desired_state().mig
    modes = dict(enumerate(mig.mode)) if mig else {}
    for gpu in layout.gpus:
        if modes.get(gpu.index) == gpu.mode:
            yield gpu
        else:
            say(f"GPU {gpu.index}  not touched: the desired state wants something newer than the remembered layout")
