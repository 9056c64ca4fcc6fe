"""What a result means to a person: what is wrong, or how far the machine is."""

from machine.converge import records
from machine.converge.following import UNIT, is_running
from machine.converge.run import TROUBLE
from machine.converge.script import LOGS
from machine.converge.stages import stages
from machine.documents.result import SETTLED, Result
from machine.host.console import report, row, say
from machine.host.this_machine import ThisMachine


def verdict(machine: ThisMachine, result: Result) -> int:
    """Say on standard error what is wrong, if anything is; the exit code."""
    texts = _complaints(machine, result)
    if texts:
        name = machine.desired_state().node.name
        say("\n".join([f"{name} is not ready (log files: {machine.path(LOGS)}):", *texts]))
    return int(bool(texts))


def status(machine: ThisMachine) -> int:
    """Tell how far the machine is and change nothing; 0 when everything is done."""
    result, wanted = records.read(machine), stages(machine)
    for stage in wanted:
        record = result.of(stage.name)
        text = f"{record.outcome}: {record.reason}  {record.seconds:.0f} s" if record else "not run yet"
        report(row(stage.name, text) + "\n")
    running = is_running(machine)
    left = records.left(result, wanted, machine.boot_id())
    names = ", ".join(stage.name for stage in left)
    report("running\n" if running else f"left to do: {names}\n" if left else "everything is done\n")
    return int(running or bool(left))


def _complaints(machine: ThisMachine, result: Result) -> list[str]:
    """What is wrong, one text per stage; empty when the machine is what it shall be."""
    left = records.left(result, stages(machine), machine.boot_id())
    trouble = machine.path(TROUBLE)
    if left and trouble.exists():
        return [trouble.read_text(encoding="utf-8")]
    texts = []
    for name in (stage.name for stage in left):
        record = result.of(name)
        if record is not None and record.outcome == "skipped" and not record.inputs:
            texts.append(f"{name} skipped: {record.reason}")
        elif record is None or record.outcome == "running" or record.outcome in SETTLED:
            texts.append(f"{name}: not finished. `journalctl -u {UNIT}` tells why; `pulumi up` goes on from here.")
        else:
            texts.append(f"{name} {record.outcome}: {record.reason}")
    return texts
