"""The MIG modes of the desired state, as the mig-mode stage sets them."""

from machine.documents.desired_state import Mig
from machine.documents.gpu_report import GpuOutcome, GpuReport
from machine.documents.layout import GpuLayout
from machine.gpu import report, services
from machine.gpu.all_gpus import AllGpus, exclusive
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.host import console

HALF_CHANGED = "half-changed\n"


def modes(smi: NvidiaSmi, mig: Mig, *, asks_turn: bool = False) -> int:
    """Set the modes, keep instances as far as they let them be, and print the stage's outcome. Returns the exit code.

    Exit code 0: the modes are set, or will be after a reboot, which the outcome asks for. `asks_turn`: nothing is
    changed, and where that would disturb somebody, the outcome says so.
    """
    layouts = [GpuLayout(index, mode) for index, mode in enumerate(mig.mode)]
    gpus = AllGpus(smi, drain=mig.on_change == "drain", only_mode=True)
    with exclusive(smi.machine):
        if asks_turn and not gpus.is_right(layouts):
            console.report("turn MIG mode changes\n")
            return 0
        made = gpus.make(layouts)
        if made.changed:
            services.refresh_cdi(smi.machine)
    report.tell_warnings(made)
    console.report(f"{_outcome(made)}\n")
    return 0 if report.is_good(made) else 1


def _outcome(made: GpuReport) -> str:
    """The line with which the stage ends, after another one where it leaves a GPU half changed."""
    if wrong := [f"GPU {gpu.index}: {_reason(gpu)}" for gpu in made.gpus if gpu.outcome in report.WRONG]:
        was_touched = any(gpu.outcome == "failed" and gpu.commands and not gpu.restored for gpu in made.gpus)
        return f"{HALF_CHANGED if was_touched else ''}failed {'; '.join(wrong)}"
    if waiting := [f"GPU {gpu.index}" for gpu in made.gpus if gpu.outcome == "pending"]:
        return f"reboot MIG mode of {', '.join(waiting)} changes only with a reboot"
    now = [f"GPU {gpu.index} {'Enabled' if gpu.mode else 'Disabled'}" for gpu in made.gpus]
    return f"{'done' if made.changed else 'unchanged'} {', '.join(now)}"


def _reason(gpu: GpuOutcome) -> str:
    return gpu.reason.removeprefix(f"GPU {gpu.index} ")
