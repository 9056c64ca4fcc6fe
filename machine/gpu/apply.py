"""Making the GPUs match a layout, and remembering it for the machine's boots."""

from machine.documents.gpu_report import GpuReport
from machine.documents.layout import Layout
from machine.gpu import first_layout, remembered, report, services
from machine.gpu.all_gpus import AllGpus, exclusive
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host import console
from machine.host.console import say
from machine.host.errors import DiskError
from machine.kubernetes import command_turn
from machine.kubernetes.turns import AgentTurn


def apply(smi: NvidiaSmi, layout: Layout, *, drain: bool = False, dry_run: bool = False, json: bool = False) -> int:
    """Make the layout and report it; with `dry_run` only report. Returns the exit code.

    The report goes to standard output when it succeeds, with `json` also when it does not.
    """
    gpus = AllGpus(smi, drain=drain or layout.on_change == "drain")
    if dry_run:
        with exclusive(smi.machine):
            made = gpus.plan(layout.gpus)
        report.tell(made)
        is_good = report.is_good(made)
    else:
        made, is_good = _in_turn(gpus, layout)
    if is_good or json:
        console.report(made.to_json())
    return 0 if is_good else 1


def _in_turn(gpus: AllGpus, layout: Layout) -> tuple[GpuReport, bool]:
    """Make it; on a living agent in its turn, unless there is nothing to do, or the machine is just being made."""
    machine = gpus.smi.machine
    is_harmless = AgentTurn.of(machine) is None or first_layout.is_due(machine)
    if not is_harmless:
        with exclusive(machine):
            is_harmless = gpus.is_right(layout.gpus)
    if is_harmless:
        made, is_good = make(gpus, layout)
    else:
        with command_turn.during(machine, "MIG instances change") as attempt:
            made, is_good = make(gpus, layout)
            if not is_good:
                wrong = [gpu for gpu in made.gpus if gpu.outcome in report.WRONG]
                attempt.failed = "; ".join(f"GPU {gpu.index}: {gpu.reason}" for gpu in wrong) or "it is not remembered"
    if is_good:
        first_layout.note_made(machine)
    return made, is_good


def make(gpus: AllGpus, layout: Layout) -> tuple[GpuReport, bool]:
    """Make the layout, tell people, and remember it. Returns whether all of that went well."""
    machine = gpus.smi.machine
    with exclusive(machine):
        made = gpus.make(layout.gpus)
        if made.changed:
            services.refresh_cdi(machine)
        report.tell(made)
        if not report.is_good(made):
            return made, False
        try:
            remembered.remember(machine, made)
        except DiskError as error:
            say(f"the GPUs have the layout, but no boot will make it again: {error}")
            return made, False
    return made, True
