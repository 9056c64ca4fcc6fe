"""All GPUs of a machine on their way to a layout: read, changed each on its own, read back, reported."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from machine.documents.gpu_report import GpuOutcome, GpuReport
from machine.documents.layout import GpuLayout
from machine.gpu import paused, users
from machine.gpu.device import Device
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.gpu.report import WRONG
from machine.host import lock
from machine.host.console import say
from machine.host.errors import DiskError, GpuError, MachineError, NodeError
from machine.host.signals import Interrupted
from machine.host.this_machine import ThisMachine
from machine.kubernetes.node import Node

LOCK = "/run/mig-k8s/mig-apply"
LOCK_SECONDS = 1800
"""How long another change of the GPUs may take: it waits for GPU clients, pods and disruption budgets to end."""


@contextlib.contextmanager
def exclusive(machine: ThisMachine) -> Iterator[None]:
    """Nobody else changes the GPUs of this machine in here. Raises MachineError when another change does not end."""

    def told() -> None:
        say("another command changes the GPUs of this machine: waiting for its end")

    with lock.held(machine.path(LOCK), machine.clock, seconds=LOCK_SECONDS, told=told) as is_free:
        if not is_free:
            words = f"another command has been changing the GPUs of this machine for {LOCK_SECONDS // 60} minutes"
            raise MachineError(f"{words}: `ps ax | grep mig-` shows it")
        yield


@dataclass(frozen=True)
class AllGpus:
    """How the GPUs are brought to a layout.

    `drain`: pods that are in the way are evicted; else the change is refused for them. `only_mode`: instances are kept,
    as far as the mode lets them be, and the mode may wait for a reboot. `at_boot`: each instance gets the very place
    that the layout has for it, and a GPU that cannot be read or cannot take its part does not stop the others; without
    `at_boot`, no GPU is changed then.
    """

    smi: NvidiaSmi
    drain: bool = False
    only_mode: bool = False
    at_boot: bool = False

    def plan(self, layouts: Iterable[GpuLayout]) -> GpuReport:
        """Tell what would be done, to which pods, and whether it would be refused for them. Changes nothing."""
        devices, failed = self._read(layouts)
        refusal = ""
        try:
            if todo := [device for device in devices if not device.is_right]:
                users.allowed(self.smi.machine, todo, drain=self.drain)
        except NodeError as error:
            refusal = str(error)
        for device in devices:
            device.plan(refusal)
        return self._report(devices, failed, applied=False)

    def is_right(self, layouts: Iterable[GpuLayout]) -> bool:
        """Whether there is nothing to do, or nothing that can be done, so that nobody is disturbed."""
        devices, failed = self._read(layouts)
        return bool(failed) or all(device.is_right for device in devices)

    def make(self, layouts: Iterable[GpuLayout]) -> GpuReport:
        """Make the layout. What goes wrong with GPUs, pods or the disk is in the report. Raises Interrupted."""
        devices, failed = self._read(layouts)
        if failed and not self.at_boot:
            for device in devices:
                device.refuse("not tried, because another GPU failed")
        else:
            try:
                self._change(devices)
            except Interrupted:
                say("a GPU that was just being changed was given back what it had; the next run goes on")
                raise
            for device in devices:
                device.read_back()
        return self._report(devices, failed, applied=True)

    def _read(self, layouts: Iterable[GpuLayout]) -> tuple[list[Device], list[GpuOutcome]]:
        """Read every GPU before any is changed; those that cannot be read or cannot take their layout have failed."""
        devices, failed = [], []
        for layout in layouts:
            try:
                devices.append(Device(self.smi, layout, only_mode=self.only_mode, at_boot=self.at_boot))
            except GpuError as error:
                failed.append(GpuOutcome(layout.index, "failed", str(error), None, (), (), (), None, (), ()))
        return devices, failed

    def _change(self, devices: Sequence[Device]) -> None:
        """Change the GPUs that are not right, while nobody uses what has to go."""
        machine = self.smi.machine
        todo = [device for device in devices if not device.is_right]
        if not todo:
            paused.start_again(machine)
            return
        try:
            with users.stopped(machine, todo, drain=self.drain) as node:
                for device in todo:
                    try:
                        device.apply()
                    except GpuError as error:
                        device.fail(str(error))
                self._before_reboot(node, [device for device in todo if device.outcome.outcome == "pending"])
        except (NodeError, DiskError) as error:
            for device in todo:
                if device.outcome.outcome == "unchanged":
                    device.refuse(str(error))
                else:
                    words = f"GPU clients are still paused, run this again: {error}"
                    device.fail(device.outcome.reason, words)

    def _before_reboot(self, node: Node | None, waiting: list[Device]) -> None:
        """End the pods on all GPUs before a reboot. Where they may not end, no mode waits for a reboot."""
        if not waiting or node is None:
            return
        try:
            users.end_for_reboot(node, drain=self.drain)
        except NodeError as error:
            for device in waiting:
                device.restore()
                device.refuse(str(error))

    def _report(self, devices: Sequence[Device], failed: Sequence[GpuOutcome], *, applied: bool) -> GpuReport:
        outcomes = sorted([*(device.outcome for device in devices), *failed], key=lambda outcome: outcome.index)
        return GpuReport(
            applied=applied and not any(outcome.outcome in WRONG for outcome in outcomes),
            changed=any(outcome.outcome == "changed" for outcome in outcomes),
            gpus=tuple(outcomes),
            warnings=tuple(self.smi.warned),
        )
