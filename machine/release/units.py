"""The systemd units and the commands of a release, outside of its folder, where systemd and people look for them."""

from machine.host import files
from machine.host.errors import MachineError
from machine.host.this_machine import ThisMachine

UNITS = ("mig-k8s-converge.service", "mig-k8s-instances.service", "mig-k8s-pods.service")
COMMANDS = ("mig-k8s", "mig-apply", "mig-verify")
_UNIT_FOLDER = "/etc/systemd/system"
_COMMAND_FOLDER = "/usr/local/sbin"


def write(machine: ThisMachine) -> None:
    """Write the running release's entry points and units where they differ. Raises DiskError, MachineError."""
    changed = False
    for name in UNITS:
        text = (machine.release / "units" / name).read_text(encoding="utf-8")
        changed |= files.write_if_changed(machine.path(f"{_UNIT_FOLDER}/{name}"), text, 0o644)
    if changed:
        reloaded = machine.systemctl("daemon-reload", seconds=120)
        if not reloaded.succeeded:
            raise MachineError(f"systemd cannot read its units again: {reloaded.stderr.strip()}")
    # After the units, which lead to the current release by themselves: the units of a machine from before there were
    # releases need the programs of that time.
    for name in COMMANDS:
        text = (machine.release / "entry-points" / name).read_text(encoding="utf-8")
        files.write_if_changed(machine.path(f"{_COMMAND_FOLDER}/{name}"), text, 0o755)
    enable(machine)


def enable(machine: ThisMachine) -> None:
    """Have the units started at every boot. Raises MachineError."""
    enabled = machine.systemctl("enable", *UNITS, seconds=120)
    if not enabled.succeeded:
        raise MachineError(f"systemd cannot enable {', '.join(UNITS)}: {enabled.stderr.strip()}")
