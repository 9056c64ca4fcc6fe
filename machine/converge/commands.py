"""The commands that bring a machine to its desired state, as they are called over SSH."""

from machine.converge import records
from machine.converge.following import follow
from machine.converge.verdict import verdict
from machine.host.console import report, row, say
from machine.host.this_machine import ThisMachine
from machine.release import units

GOING_DOWN = 75
"""Exit code of `ready` when the machine is about to reboot."""


def resume(machine: ThisMachine) -> int:
    """Bring the machine to what its files say, following on standard output; 0 also before a reboot."""
    units.enable(machine)
    result = follow(machine, report)
    if records.is_rebooting(result, machine.boot_id()):
        report(row("reboot", "the machine reboots now") + "\n")
        return 0
    return verdict(machine, result)


def ready(machine: ThisMachine) -> int:
    """Follow on standard error until all is done; the result on standard output."""

    def show(text: str) -> None:
        say(text.rstrip("\n"))

    result = follow(machine, show)
    if records.is_rebooting(result, machine.boot_id()):
        say("the machine is about to reboot; run `pulumi up` again, it goes on when the machine is back")
        return GOING_DOWN
    status = verdict(machine, result)
    if status == 0:
        report(result.to_json())
    return status
