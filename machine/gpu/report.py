"""The report of the GPUs in words for people."""

from machine.documents.gpu_report import GpuOutcome, GpuReport, Outcome
from machine.host.console import say

WRONG: tuple[Outcome, ...] = ("refused", "failed")


def is_good(report: GpuReport) -> bool:
    """Whether no GPU was refused or has failed."""
    return not any(gpu.outcome in WRONG for gpu in report.gpus)


def tell(report: GpuReport) -> None:
    """What became of each GPU, and what nvidia-smi warned of."""
    for gpu in report.gpus:
        _tell(gpu)
    tell_warnings(report)


def tell_warnings(report: GpuReport) -> None:
    """What nvidia-smi warned of beside its answers."""
    for warning in report.warnings:
        say(f"nvidia-smi warns: {warning}")


def _tell(gpu: GpuOutcome) -> None:
    say(f"GPU {gpu.index}  {gpu.outcome}{': ' if gpu.reason else ''}{gpu.reason}")
    for word, places in (("keeps", gpu.kept), ("removes", gpu.removed), ("makes", gpu.created)):
        if places:
            say(f"       {word} {', '.join(places)}")
    if gpu.outcome == "planned":
        if gpu.pods:
            say(f"       ends pods {', '.join(gpu.pods)}")
        for command in gpu.commands:
            say(f"       {command}")
    if gpu.restored is not None:
        say(f"       {'has what it had before' if gpu.restored else 'COULD NOT be given back what it had'}")
