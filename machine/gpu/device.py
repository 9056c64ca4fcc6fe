"""One GPU on its way to a layout: changed, read back, and given back what it had when that fails."""

import contextlib
import dataclasses
from collections.abc import Collection, Iterable

from machine.documents.gpu_report import GpuOutcome, SeenInstance
from machine.documents.layout import GpuLayout
from machine.gpu import change as changes
from machine.gpu.change import difference, nearest_shape
from machine.gpu.instances import Gpu, Shape, read_gpu, read_mode, with_uuids
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.gpu.profiles import check_places, read_profiles
from machine.host import signals
from machine.host.console import one_line, say
from machine.host.errors import GpuError


class Device:
    """A GPU. Only the state that it shows itself decides, neither exit codes nor messages of nvidia-smi."""

    def __init__(self, smi: NvidiaSmi, layout: GpuLayout, *, only_mode: bool = False, at_boot: bool = False) -> None:
        """Read the GPU. Raises GpuError when it cannot be read or cannot take the layout.

        `only_mode`: it keeps the instances that it has, as far as the mode lets them be, and the mode may wait for a
        reboot. `at_boot`: what is made gets the place that it has in the layout.
        """
        self.smi, self.index, self.mode, self.only_mode = smi, layout.index, layout.mode, only_mode
        self.layout, self.at_boot = layout, at_boot
        self.before = with_uuids(smi, self.index, read_gpu(smi, self.index))
        self._keeps_all = only_mode and self.mode
        # A GPU that keeps what it has, or has nothing, need not tell its profiles.
        needs_profiles = layout.instances or (self.before.instances and not self._keeps_all)
        self.profiles = read_profiles(smi, self.index) if needs_profiles else {}
        check_places(self.index, layout.instances, self.profiles)
        self.outcome = GpuOutcome(self.index, "unchanged", "", None, (), (), (), None, (), ())
        self._said: list[str] = []
        self.decide({})

    def decide(self, held: Collection[str]) -> None:
        """Decide what stays, and with it where everything else goes. `held`: UUIDs of the devices that pods hold."""
        self.wanted: Shape = (
            self.before.shape()
            if self._keeps_all
            else nearest_shape(self.before, self.layout, self.profiles, held, at_boot=self.at_boot)
        )
        self.change = difference(self.before, self.wanted, self.profiles)
        self._tell(kept=tuple(str(instance.place) for instance in self.change.keep))

    def pods_must_go(self, pods: Iterable[str]) -> None:
        """Tell in the outcome which pods hold something that has to go."""
        self._tell(pods=tuple(pods))

    @property
    def is_right(self) -> bool:
        """Whether there is nothing to do."""
        return self.change.is_empty and {self.before.current, self.before.pending} == {self.mode}

    @property
    def changes_mode(self) -> bool:
        """Whether its MIG mode changes, for which nobody may use the GPU."""
        return self.before.current != self.mode

    def plan(self, refusal: str) -> None:
        """Tell in the outcome what would be done, and why it would be refused if it would be."""
        commands = changes.planned(self.index, self.change, self.profiles)
        if {self.before.current, self.before.pending} != {self.mode}:
            command = changes.mode_command(self.index, mode=self.mode)
            commands.insert(0 if self.mode else len(commands), command)
        self._announce()
        words = tuple(" ".join(["nvidia-smi", *command]) for command in commands)
        self._tell(commands=words)
        if commands:
            self._tell(outcome="refused" if refusal else "planned", reason=refusal)

    def apply(self) -> None:
        """Change the GPU and read it back. Raises GpuError; the GPU is as it was, or the outcome says otherwise."""
        self._announce()
        self._tell(outcome="changed")
        try:
            if self.mode:
                self._set_mode(mode=True)
            self._reach(self.wanted)
            if not self.mode:
                self._set_mode(mode=False)
        except BaseException:
            self.restore()
            raise

    def restore(self) -> None:
        """Give the GPU back what it had; a second failure is told in the outcome, never raised."""
        self._tell(restored=False)
        with contextlib.suppress(GpuError), signals.ignored():
            if self.before.current:
                self._set_mode(mode=True)
            self._reach(self.before.shape())
            if read_mode(self.smi, self.index)[1] != self.before.pending:
                self._run(changes.mode_command(self.index, mode=self.before.pending))
            after = read_gpu(self.smi, self.index)
            is_restored = after.shape() == self.before.shape() and after.pending == self.before.pending
            self._tell(restored=is_restored)

    def refuse(self, reason: str) -> None:
        """Report that the change was refused: the GPU was not touched, or is as it was."""
        self._tell(outcome="refused", reason=reason, removed=(), created=())

    def fail(self, *reasons: str) -> None:
        """Report that the change failed: the GPU was touched, and is not as it was wanted."""
        self._tell(outcome="failed", reason="; ".join(filter(None, reasons)))

    def read_back(self) -> None:
        """Read the GPU a last time, for the report. One that was right has been read a moment ago."""
        if self.outcome.outcome == "unchanged":
            self._show(self.before)
            return
        try:
            gpu = with_uuids(self.smi, self.index, read_gpu(self.smi, self.index))
        except GpuError as error:
            self.fail(str(error))
            return
        self._show(gpu)

    def _show(self, gpu: Gpu) -> None:
        seen = tuple(SeenInstance(i.id, i.place.profile, i.place.start, i.uuids) for i in gpu.instances)
        self._tell(mode=gpu.current, instances=seen)

    def _tell(self, **facts: object) -> None:
        self.outcome = dataclasses.replace(self.outcome, **facts)  # type: ignore[arg-type]

    def _announce(self) -> None:
        """What is about to be removed and made, for the report."""
        removed = tuple(str(instance.place) for instance in self.change.remove)
        self._tell(removed=removed, created=tuple(str(place) for place in self.change.create))

    def _run(self, command: list[str]) -> None:
        self._tell(commands=(*self.outcome.commands, " ".join(["nvidia-smi", *command])))
        self._said.append(one_line(self.smi.say(*command)))

    def _set_mode(self, *, mode: bool) -> None:
        if read_mode(self.smi, self.index) == (mode, mode):
            return
        word = "on" if mode else "off"
        say(f"turns MIG mode of GPU {self.index} {word}")
        self._run(changes.mode_command(self.index, mode=mode))
        current, pending = read_mode(self.smi, self.index)
        if pending != mode:
            raise GpuError(f"MIG mode does not turn {word}; nvidia-smi said: {self._said[-1]}")
        if current == mode:
            return
        if not self.only_mode:
            raise GpuError(f"MIG mode {word} needs a reboot here: `pulumi up` does it, a change of the layout never")
        self._tell(outcome="pending")

    def _reach(self, wanted: Shape) -> None:
        """Bring the instances to a shape. Raises GpuError when they are not there afterwards."""
        gpu = read_gpu(self.smi, self.index)
        change = difference(gpu, wanted, self.profiles)
        if change.is_empty:
            return
        said = len(self._said)
        if commands := changes.removal(self.index, change):
            for command in commands:
                self._run(command)
            gpu = read_gpu(self.smi, self.index)
            left = {instance.id for instance in gpu.instances}
            if stuck := [str(instance.place) for instance in change.remove if instance.id in left]:
                words = "; ".join(self._said[said:])
                raise GpuError(f"{', '.join(stuck)} cannot be removed; nvidia-smi said: {words}")
        if self._create(gpu, wanted):
            gpu = read_gpu(self.smi, self.index)
        if self._complete(gpu, wanted):
            gpu = read_gpu(self.smi, self.index)
        if gpu.shape() != wanted or len(gpu.instances) != len(wanted):
            there = [f"{i.place}{'' if i.computes is None else ' without its compute instance'}" for i in gpu.instances]
            words = "; ".join(self._said[said:])
            raise GpuError(f"it shows {', '.join(there) or 'no instances'} afterwards; nvidia-smi said: {words}")

    def _create(self, gpu: Gpu, wanted: Shape) -> bool:
        """Make the GPU instances that are missing; whether there was anything to do."""
        missing = difference(gpu, wanted, self.profiles).create
        for full in (True, False):
            if places := [place for place in missing if (wanted[place] is None) == full]:
                self._run(changes.creation(self.index, places, self.profiles, full=full))
        return bool(missing)

    def _complete(self, gpu: Gpu, wanted: Shape) -> bool:
        """Make the compute instances of those that have none; whether there was anything to do.

        Others than those of full size are only made again, for somebody else.
        """
        empty = [i for i in gpu.instances if i.computes == () and wanted.get(i.place, ()) != ()]
        for instance in empty:
            self._run(changes.compute_creation(self.index, instance, wanted[instance.place]))
        return bool(empty)
