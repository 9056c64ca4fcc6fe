"""`apply` from any state to any layout, with faults, kills, foreign instances and reboots in between.

The truth is the state the sandbox's GPU keeps for itself, not what `apply` reports.
"""

import contextlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from calls import Called, call
from gpus import PROFILE_NAMES, Gpus, gpu_layout, layout
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from killable_machine import KillableMachine, PowerCut

from mig_states import every, table

KNOWN = every("A100-80GB")
"""An H100 80 GB has the same table."""
PLACES = [(row.name, start) for row in table("A100-80GB") for start in row.starts]
LAYOUTS = st.sampled_from(sorted(KNOWN.left, key=sorted)).map(
    lambda state: [f"{name}:{start}" for name, start in sorted(state)]
)
"""Every state of the GPU, as a layout with these places."""
Identities = dict[str, tuple[int, tuple[tuple[int, int], ...]]]


def profiles(places: Iterable[str]) -> Counter[str]:
    """Profile -> how many of it."""
    return Counter(place.split(":")[0] for place in places)


class Applying(RuleBasedStateMachine):
    """One A100 or H100, with steps for everything that can happen to it."""

    program: Path

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.machine = KillableMachine.below(folder)
        self.remembered: Identities | None = None

    @initialize(model=st.sampled_from(["A100-80GB", "H100-80GB"]))
    def plug(self, model: str) -> None:
        self.gpus = Gpus(self.machine, self.program, (model,))
        self.gpus.enable()

    def teardown(self) -> None:
        self.stack.close()

    def apply(self, wanted: list[str]) -> Called:
        return call(self.machine, "apply", "--json", stdin=layout(gpu_layout(*wanted)))

    def identities(self) -> Identities:
        """Place -> GPU instance id and compute instances: what a MIG device's UUID hangs on."""
        return {
            f"{PROFILE_NAMES[instance['profile']]}:{instance['start']}": (
                instance["id"],
                tuple((compute["id"], compute["profile"]) for compute in instance["compute"] or []),
            )
            for instance in self.gpus.state()
        }

    def full(self, place: str) -> int:
        """Profile id of the full compute instance."""
        return {"1g": 0, "2g": 1, "3g": 2, "4g": 3, "7g": 4}[place[:2]] if not place.startswith("1g.20gb") else 7

    @rule(wanted=LAYOUTS)
    def a_layout_is_reached_and_what_can_stay_stays(self, wanted: list[str]) -> None:
        before = self.identities()
        ended = self.apply(wanted)
        assert ended.status == 0, ended.stderr
        after = self.identities()
        assert profiles(after) == profiles(wanted)
        assert self.whole(after) == set(after)
        assert len(self.whole(before) & set(after)) == self.most_that_can_stay(before, wanted)
        self.check_that_no_more_went(ended, before, wanted)
        self.remembered = after
        again = self.apply(wanted)
        assert (again.status, again.report.changed, again.report.gpus[0].commands) == (0, False, ())
        assert self.identities() == after

    def whole(self, there: Identities) -> set[str]:
        """The places of instances with one full compute instance."""
        return {place for place, (_, computes) in there.items() if computes == ((0, self.full(place)),)}

    def most_that_can_stay(self, there: Identities, wanted: list[str]) -> int:
        whole = {(name, int(start)) for name, start in (place.split(":") for place in self.whole(there))}
        return max(len(state & whole) for state in KNOWN.by_layout[frozenset(profiles(wanted).items())])

    def check_that_no_more_went(self, ended: Called, before: Identities, wanted: list[str]) -> None:
        """Check by the commands which whole instances were removed: one that is made again has the same id."""
        commands = " ".join(ended.report.gpus[0].commands)
        touched = {int(number) for number in re.findall(r"-gi (\d+) -d[cg]i", commands)}
        gone = {place for place in self.whole(before) if before[place][0] in touched}
        assert len(gone) <= len(self.whole(before)) - self.most_that_can_stay(before, wanted)

    @rule(wanted=LAYOUTS, k=st.integers(min_value=1, max_value=4))
    def a_creation_fails_and_the_gpu_is_as_it_was_or_right(self, wanted: list[str], k: int) -> None:
        before = self.identities()
        self.gpus.faults(cgi_fails_at=k)
        ended = self.apply(wanted)
        self.gpus.faults()
        self.check_that_no_more_went(ended, before, wanted)
        self.check(ended.status, before, wanted)

    @rule(wanted=LAYOUTS, which=st.integers(min_value=0, max_value=6))
    def a_device_is_busy_and_the_gpu_is_as_it_was_or_right(self, wanted: list[str], which: int) -> None:
        before = self.identities()
        uuids = self.gpus.uuids_of_devices()
        if not uuids:
            return
        self.gpus.faults(busy=[uuids[which % len(uuids)]])
        ended = self.apply(wanted)
        self.gpus.faults()
        self.check_that_no_more_went(ended, before, wanted)
        self.check(ended.status, before, wanted)

    def check(self, status: int, before: Identities, wanted: list[str]) -> None:
        after = self.identities()
        if status == 0:
            assert profiles(after) == profiles(wanted)
            self.remembered = after
            return
        shape = {place: sorted(profile for _, profile in computes) for place, (_, computes) in after.items()}
        assert shape == {place: sorted(profile for _, profile in computes) for place, (_, computes) in before.items()}

    @rule(wanted=LAYOUTS, wrong=st.sampled_from(["3g.40gb:1", "9g.90gb:0", "7g.80gb:4"]))
    def a_layout_that_does_not_fit_touches_nothing(self, wanted: list[str], wrong: str) -> None:
        before = self.identities()
        assert self.apply([*wanted, wrong]).status == 1
        assert self.identities() == before

    @rule(wanted=LAYOUTS, at=st.integers(min_value=1, max_value=25), when=st.sampled_from(["before", "after"]))
    def it_is_killed_anywhere_and_the_next_run_goes_on(self, wanted: list[str], at: int, when: str) -> None:
        self.machine.doom("power cut", at=at, when=when)
        with contextlib.suppress(PowerCut):
            self.apply(wanted)
        self.machine.revive()
        self.a_layout_is_reached_and_what_can_stay_stays(wanted)

    @rule(wanted=LAYOUTS, at=st.integers(min_value=1, max_value=25), when=st.sampled_from(["before", "after"]))
    def it_is_interrupted_anywhere_and_the_gpu_is_as_it_was_or_right(
        self, wanted: list[str], at: int, when: str
    ) -> None:
        before = self.identities()
        self.machine.doom("interrupted", at=at, when=when, matching="nvidia-smi")
        status = self.apply(wanted).status
        self.machine.revive()
        after = self.identities()
        if status != 0 and profiles(after) == profiles(wanted) and self.whole(after) == set(after):
            return  # it was interrupted behind the change, before it was remembered
        self.check(status, before, wanted)

    @rule(place=st.sampled_from(PLACES), inside=st.sampled_from(["-C", "", "0"]))
    def somebody_makes_an_instance(self, place: tuple[str, int], inside: str) -> None:
        profile = next(number for number, name in PROFILE_NAMES.items() if name == place[0])
        known = {instance["id"] for instance in self.gpus.state()}
        self.gpus.smi("mig", "-cgi", f"{profile}:{place[1]}", *(["-C"] if inside == "-C" else []))
        new = [instance["id"] for instance in self.gpus.state() if instance["id"] not in known]
        if inside == "0" and new:
            self.gpus.smi("mig", "-gi", str(new[0]), "-cci", "0")

    @rule()
    def somebody_destroys_everything(self) -> None:
        self.gpus.smi("mig", "-dci")
        self.gpus.smi("mig", "-dgi")

    @rule()
    def a_reboot_ends_with_the_remembered_layout(self) -> None:
        self.gpus.reboot()
        assert self.gpus.places() == []
        assert call(self.machine, "boot").status == 0
        if self.remembered is None:
            self.gpus.enable()
        assert self.identities() == (self.remembered or {})


def test_from_any_state_to_any_layout(gpu_program: Path) -> None:
    machine = type("ApplyingWithProgram", (Applying,), {"program": gpu_program})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=6, deadline=None, suppress_health_check=checks),
    )
