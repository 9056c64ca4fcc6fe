"""Faults by name: what goes wrong on purpose in a sandbox, switched on and off before or during an `up`.

What is on is kept in ``root/faults``: ``names.json``; ``mirror.json``, which the mirror reads at every request; and
``disk`` and ``hardware``, which are laid over every machine that is made. Machines that are there are changed at once.
"""

import json
import shutil
import tempfile
from pathlib import Path

from sandbox.error import SandboxError
from sandbox.faults import gpu as fault_gpu
from sandbox.faults import machine as fault_machine
from sandbox.faults import mirror as fault_mirror
from sandbox.instance import Sandbox

ABOUT = fault_mirror.ABOUT | fault_machine.ABOUT | fault_gpu.ABOUT
"""Name of every fault → what happens, in one line."""


def switched_on(sandbox: Sandbox) -> set[str]:
    """Names of the faults that are on."""
    file = _folder(sandbox) / "names.json"
    return set(json.loads(file.read_text())) if file.exists() else set()


def switch(sandbox: Sandbox, name: str, *, on: bool) -> None:
    """Switch one fault on or off, for the machines that run and those to come. Raises SandboxError."""
    if name not in ABOUT:
        raise SandboxError(f"there is no fault {name}; `fault --list` has them all")
    names = switched_on(sandbox)
    _lay_out(sandbox, names | {name} if on else names - {name})
    for vm_id in sandbox.machine_ids:
        fault_gpu.write(sandbox.machine_directory(vm_id) / "hardware", switched_on(sandbox))
        if unit := fault_machine.UNITS.get(name):
            (unit.begin if on else unit.end)(sandbox, vm_id)


def _lay_out(sandbox: Sandbox, names: set[str]) -> None:
    """Everything in ``root/faults`` from nothing, so that no combination of faults leaves a trace of an earlier one."""
    folder = _folder(sandbox)
    with tempfile.TemporaryDirectory(dir=sandbox.root, prefix="faults-") as draft:
        made = Path(draft) / "faults"
        (made / "hardware").mkdir(parents=True)
        fault_gpu.write(made / "hardware", names)
        for name in names & set(fault_machine.UNITS):
            fault_machine.UNITS[name].write(made / "disk")
        fault_mirror.write(made, names, final=folder)
        (made / "names.json").write_text(json.dumps(sorted(names)) + "\n")
        if folder.exists():
            shutil.move(folder, Path(draft) / "before")
        made.rename(folder)


def _folder(sandbox: Sandbox) -> Path:
    return sandbox.root / "faults"
