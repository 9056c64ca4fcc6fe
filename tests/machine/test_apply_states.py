"""`apply` from any state to any layout, with faults, kills, foreign instances and reboots in between.

The truth is the state the sandbox's GPU keeps for itself, not what `apply` reports.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from calls import Called, call
from gpus import PROFILE_NAMES, Gpus, gpu_layout, layout
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from mortal_machine import MortalMachine, PowerCut

# NVIDIA's table for GPUs with eight memory slices: profile, memory slices, compute slices, starts, at most.
TABLE = (
    ("1g.10gb", 1, 1, range(7), 7),
    ("1g.10gb+me", 1, 1, range(7), 1),
    ("1g.20gb", 2, 1, (0, 2, 4, 6), 4),
    ("2g.20gb", 2, 2, (0, 2, 4), 3),
    ("3g.40gb", 4, 3, (0, 4), 2),
    ("4g.40gb", 4, 4, (0,), 1),
    ("7g.80gb", 8, 7, (0,), 1),
)
PLACES = [(name, start, size, compute, most) for name, size, compute, starts, most in TABLE for start in starts]


def fitting(order: list[tuple[str, int, int, int, int]]) -> list[str]:
    """The places, taken in their order as long as there is room."""
    taken: set[int] = set()
    slices, chosen = 0, list[str]()
    for name, start, size, compute, most in order:
        wanted = set(range(start, start + size))
        same = sum(place.split(":")[0] == name for place in chosen)
        if not wanted & taken and slices + compute <= 7 and same < most:
            taken |= wanted
            slices += compute
            chosen.append(f"{name}:{start}")
    return chosen


LAYOUTS = st.builds(
    lambda order, count: fitting(order)[:count], st.permutations(PLACES), st.integers(min_value=0, max_value=7)
)


class Applying(RuleBasedStateMachine):
    """One A100 or H100, and everything that can happen to it."""

    program: Path

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.machine = MortalMachine.below(folder)
        self.remembered: list[str] | None = None

    @initialize(model=st.sampled_from(["A100-80GB", "H100-80GB"]))
    def plug(self, model: str) -> None:
        self.gpus = Gpus(self.machine, self.program, (model,))
        self.gpus.enable()

    def teardown(self) -> None:
        self.stack.close()

    def apply(self, wanted: list[str]) -> Called:
        return call(self.machine, "apply", "--json", stdin=layout(gpu_layout(*wanted)))

    def identities(self) -> dict[str, tuple[int, tuple[tuple[int, int], ...]]]:
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
        assert sorted(after) == sorted(wanted)
        for place, (number, computes) in after.items():
            assert computes == ((0, self.full(place)),)
            if place in before:
                assert before[place][0] == number
        self.remembered = wanted
        again = self.apply(wanted)
        assert (again.status, again.report.changed, again.report.gpus[0].commands) == (0, False, ())
        assert self.identities() == after

    @rule(wanted=LAYOUTS, k=st.integers(min_value=1, max_value=4))
    def a_creation_fails_and_the_gpu_is_as_it_was_or_right(self, wanted: list[str], k: int) -> None:
        before = self.identities()
        self.gpus.faults(cgi_fails_at=k)
        status = self.apply(wanted).status
        self.gpus.faults()
        self.judge(status, before, wanted)

    @rule(wanted=LAYOUTS, which=st.integers(min_value=0, max_value=6))
    def a_device_is_busy_and_the_gpu_is_as_it_was_or_right(self, wanted: list[str], which: int) -> None:
        before = self.identities()
        uuids = self.gpus.uuids_of_devices()
        if not uuids:
            return
        self.gpus.faults(busy=[uuids[which % len(uuids)]])
        status = self.apply(wanted).status
        self.gpus.faults()
        self.judge(status, before, wanted)

    def judge(self, status: int, before: dict[str, Any], wanted: list[str]) -> None:
        after = self.identities()
        if status == 0:
            assert sorted(after) == sorted(wanted)
            self.remembered = wanted
            return
        shape = {place: sorted(profile for _, profile in computes) for place, (_, computes) in after.items()}
        assert shape == {place: sorted(profile for _, profile in computes) for place, (_, computes) in before.items()}
        for place in set(before) & set(wanted):
            if before[place][1] == ((0, self.full(place)),):
                assert after[place] == before[place], f"{place} could stay and was made anew"

    @rule(wanted=LAYOUTS, wrong=st.sampled_from(["3g.40gb:1", "9g.90gb:0", "7g.80gb:4"]))
    def a_layout_that_does_not_fit_touches_nothing(self, wanted: list[str], wrong: str) -> None:
        before = self.identities()
        assert self.apply([*wanted, wrong]).status == 1
        assert self.identities() == before

    @rule(wanted=LAYOUTS, at=st.integers(min_value=1, max_value=25), when=st.sampled_from(["before", "after"]))
    def it_is_killed_anywhere_and_the_next_run_goes_on(self, wanted: list[str], at: int, when: str) -> None:
        self.machine.doom("power cut", at=at, when=when)
        with contextlib.suppress(PowerCut):
            if self.apply(wanted).status == 0:
                self.remembered = wanted
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
        if status != 0 and sorted(self.identities()) == sorted(wanted):
            return  # it was interrupted behind the change, before it was remembered
        self.judge(status, before, wanted)

    @rule(place=st.sampled_from(PLACES), inside=st.sampled_from(["-C", "", "0"]))
    def somebody_makes_an_instance(self, place: tuple[str, int, int, int, int], inside: str) -> None:
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
        assert sorted(self.identities()) == sorted(self.remembered or [])


def test_from_any_state_to_any_layout(gpu_program: Path) -> None:
    machine = type("ApplyingWithProgram", (Applying,), {"program": gpu_program})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=6, deadline=None, suppress_health_check=checks),
    )
