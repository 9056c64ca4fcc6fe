"""One run over the stages that are left to do."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from machine.converge import progress, records, script
from machine.converge.beside import Beside
from machine.converge.reboot import RebootWaits, close_logins, open_logins, reboot
from machine.converge.stages import Stage, stages
from machine.converge.turn import STAYS_OUT, RunTurn
from machine.documents.result import SETTLED, Outcome, Reboot, Result, StageResult
from machine.host import lock
from machine.host.errors import DiskError, MachineError, NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import before_reboot
from machine.kubernetes.turn_heartbeat import beating
from machine.release import storage

LOCK = "/run/mig-k8s/converge"
TROUBLE = "/run/mig-k8s/trouble"
"""Why the last run could not even keep its records. It is in memory, since nothing can be written to a full disk."""
_OTHER_RUN_SECONDS = 3 * 3600
"""How long another run may take: the sum of what its stages may."""


def converge(machine: ThisMachine, waits: RebootWaits = RebootWaits()) -> int:  # noqa: B008 - frozen
    """Run the stages that are left, one run at a time; the exit code. Does not return when the machine reboots."""
    with lock.held(machine.path(LOCK), machine.clock, seconds=_OTHER_RUN_SECONDS) as free:
        if not free:
            raise MachineError(f"another run of mig-k8s did not end within {_OTHER_RUN_SECONDS} s")
        trouble = machine.path(TROUBLE)
        trouble.unlink(missing_ok=True)
        try:
            with beating(machine):
                return _Run(machine, waits).run()
        except DiskError as error:
            with contextlib.suppress(OSError):
                trouble.write_text(str(error), encoding="utf-8")
            raise


@dataclass
class _Run:
    machine: ThisMachine
    waits: RebootWaits
    boot_id: str = field(init=False)
    result: Result = field(init=False)
    turn: RunTurn = field(init=False)
    beside: Beside = field(default_factory=Beside)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever changes `result`: stages beside each other do."""

    def __post_init__(self) -> None:
        self.turn = RunTurn(self.machine)
        self.boot_id = self.machine.boot_id()
        self.result = replace(records.read(self.machine), boot_id=self.boot_id)

    def run(self) -> int:
        open_logins(self.machine)
        progress.begin(self.machine)
        self.turn.begin()
        wanted = stages(self.machine)
        kept = [record for record in map(self.result.of, [stage.name for stage in wanted]) if record is not None]
        self._keep(lambda known: replace(known, state="running", stages=tuple(kept)))
        left = records.left(self.result, wanted, self.boot_id)
        for stage in (each for each in left if each.is_beside):
            self.beside.start(stage.name, partial(self._run_stage, stage))
        for stage in (each for each in wanted if not each.is_beside):
            self.beside.end(stage.needs)
            if not records.left(self.result, [stage], self.boot_id):
                continue
            self._let_look_again(later for later in wanted if stage.name in later.looks_at)
            self._run_stage(stage)
            if self._outcome(stage.name) == "reboot":
                self._reboot(stage)
        self._end_turn()
        failed = any(record.outcome not in SETTLED for record in self.result.stages)
        self._keep(lambda known: replace(known, state="failed" if failed else "done"))
        if not failed:
            storage.remove_other_releases(self.machine)  # this one has worked
        return int(failed)

    def _end_turn(self) -> None:
        failed = [each for each in self.result.stages if each.outcome not in SETTLED]
        # Where all went well, that of RKE2 has failed if the node is not: the next run begins with it.
        record = (failed or self.result.stages)[-1]
        try:
            if not self.turn.end("; ".join(f"{each.name}: {each.reason}" for each in failed)):
                return
            reason = f"{record.reason.removesuffix('.')}. {STAYS_OUT}"
        except NodeError as error:
            reason = f"{record.reason}; its turn: {error}" if failed else f"{error}. {STAYS_OUT}"
        self._note(replace(record, outcome="failed", reason=reason))
        progress.tell(self.machine, record.name, f"failed: {reason}", 0)

    def _keep(self, change: Callable[[Result], Result], *, write: bool = True) -> None:
        with self.lock:
            self.result = change(self.result)
            if write:
                records.write(self.machine, self.result)

    def _note(self, record: StageResult) -> None:
        self._keep(lambda known: records.with_stage(known, record), write=False)

    def _outcome(self, stage: str | None) -> Outcome | None:
        record = None if stage is None else self.result.of(stage)
        return None if record is None else record.outcome

    def _let_look_again(self, later: Iterable[Stage]) -> None:
        """Note that these stages look again, before the stage runs that they build on: the run may be killed in it."""
        for stage in later:
            if record := self.result.of(stage.name):
                self._note(replace(record, inputs=""))

    def _run_stage(self, stage: Stage) -> None:
        # Inputs are taken before the run: a file that changes while it runs makes the stage run again.
        clock, before = self.machine.clock, self.result.of(stage.name)
        begun = clock.monotonic()
        worked = before.worked if before else None
        record = StageResult(stage.name, stage.inputs(), clock.utc(), None, "running", "", self.boot_id, worked=worked)
        try:
            self._keep(partial(records.with_stage, record=record))
            outcome, reason = self._look(stage, begun)
            if outcome == "skipped" and stage.variables is not None:
                record = replace(record, inputs="")  # and so it is left to do
            if outcome == "reboot":
                outcome, reason = self._once(stage, reason)
            record = records.ended(record, outcome, reason, clock.utc(), clock.monotonic() - begun)
            # A reboot is written when logins are closed.
            self._keep(partial(records.with_end, record=record), write=outcome != "reboot")
        except DiskError as error:
            raise DiskError(f"{stage.name} failed: {error}") from error
        progress.tell(self.machine, stage.name, f"{outcome}: {reason}", record.seconds)

    def _look(self, stage: Stage, begun: float) -> tuple[Outcome, str]:
        """Run the stage's script, unless there is nothing to do or what it needs is missing."""
        if stage.variables is None:
            return "skipped", stage.reason
        needed = self._outcome(stage.needs)
        if needed is not None and needed not in SETTLED:
            return "skipped", f"not tried, because {stage.needs} failed"

        def told(text: str) -> None:
            progress.tell(self.machine, stage.name, text, self.machine.clock.monotonic() - begun)

        end = script.run(self.machine, stage, told, asks_turn=self.turn.is_asked())
        if end.outcome == "turn":
            try:
                self.turn.take(stage, end.reason, told)
            except NodeError as error:
                return "failed", str(error)
            end = script.run(self.machine, stage, told)
            self.turn.is_half_changed |= end.half_changed and end.outcome not in SETTLED
        return end.outcome, end.reason

    def _once(self, stage: Stage, reason: str) -> tuple[Outcome, str]:
        """Get ready for a stage's reboot, unless one was tried for the same wanted state already."""
        attempt = self.result.reboots.get(stage.name)
        if attempt is not None and attempt.wanted == stage.wanted() and attempt.boot_id != self.boot_id:
            return "failed", (
                f"{reason}; the machine was rebooted for this once, it did not help and is not repeated. When the cause"
                " is gone: `sudo reboot`, then `pulumi up`"
            )
        if names := self.beside.names():  # before pods are asked: they must not wait outside for a download
            progress.tell(self.machine, stage.name, f"reboots when {', '.join(names)} has ended", 0)
            self.beside.wait()
        try:
            self.turn.take(stage, "it reboots", lambda text: progress.tell(self.machine, stage.name, text, 0))
            if stage.asks_pods:  # not before the reboot is certain: pods must not be evicted for one that does not come
                before_reboot.ask(self.machine, end=True)
        except MachineError as error:
            return "failed", f"{reason}, and the machine does not reboot: {error}"
        attempt = Reboot(stage.wanted(), self.boot_id)
        self._keep(lambda known: replace(known, reboots={**known.reboots, stage.name: attempt}), write=False)
        return "reboot", reason

    def _reboot(self, stage: Stage) -> None:
        """Go on after the next boot. Returns only if the machine did not go down; the stage has failed then."""
        # Logins close before anybody is told, so that whoever leaves now can only come back after the reboot.
        close_logins(self.machine)
        try:
            self._keep(lambda known: replace(known, state="reboot"))
        except DiskError:
            open_logins(self.machine)
            raise
        why = reboot(self.machine, self.waits)
        open_logins(self.machine)
        self.turn.is_half_changed = True
        record = self.result.of(stage.name)
        assert record is not None  # noqa: S101 - it asked for the reboot
        reason = f"{record.reason}, but the machine did not reboot: {why}"
        record = records.ended(record, "failed", reason, self.machine.clock.utc(), record.seconds)
        self._keep(lambda known: replace(records.with_stage(known, record), state="running"))
        progress.tell(self.machine, stage.name, f"failed: {reason}", 0)
