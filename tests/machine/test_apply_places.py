"""Which instances a change of layout keeps, and where it puts the others: decided by what exists and what pods hold."""

import json
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from a_live_node import LiveNode
from calls import Called, call, call_process
from gpus import FOUR_STAY, SEVEN, TUTORIAL, Gpus, gpu_layout, layout

from machine.documents.layout import GpuLayout, Place
from machine.gpu.change import nearest_shape
from machine.gpu.instances import Gpu, Instance, read_gpu, with_uuids
from machine.gpu.nvidia_smi import NvidiaSmi
from machine.gpu.profiles import read_profiles
from machine.placement import Profile
from mig_states import MODELS, State, every, table, wanted
from plan.gpu.catalogue import gpu_models

Make = Callable[..., Gpus]

THREE = gpu_layout("3g.40gb:4", *(f"1g.10gb:{start}" for start in range(3)))
"""The plan's places; with the 3g at 0 the 1g at 4, 5 and 6 can stay instead."""
BESIDE = gpu_layout("3g.40gb:0", "1g.20gb:6")
"""On an empty GPU: a 2g fits between them."""


# ---- the decision, against all states that NVIDIA's tables allow

PROFILES = {
    row.name: Profile(row.name, number, row.compute, row.size, row.starts, row.most)
    for number, row in enumerate(table("A100-80GB"))
}


def decided(there: State, held: State, new: GpuLayout, *, at_boot: bool = False) -> State:
    """The state that a GPU comes to; a device's UUID is here its place."""
    instances = tuple(
        Instance(number, Place(*place), None, (str(Place(*place)),)) for number, place in enumerate(sorted(there))
    )
    uuids = {str(Place(*place)) for place in held}
    shape = nearest_shape(Gpu("GPU-0", True, True, instances), new, PROFILES, uuids, at_boot=at_boot)
    assert set(shape.values()) <= {None}
    return frozenset((place.profile, place.start) for place in shape)


def placements_of(new: GpuLayout) -> list[State]:
    return every("A100-80GB").by_layout[frozenset(new.profiles.items())]


def subsets(there: State) -> Iterator[State]:
    for count in range(len(there) + 1):
        yield from map(frozenset, combinations(sorted(there), count))


@pytest.mark.parametrize("old", [TUTORIAL, SEVEN, FOUR_STAY], ids=["tutorial", "seven", "four"])
def test_whatever_pods_hold_of_the_tutorials_layouts_the_most_of_it_stays_and_then_the_most_of_the_rest(
    old: GpuLayout,
) -> None:
    """Every subset of devices in use, from every placement of each layout to the others and to two more."""
    known = every("A100-80GB")
    for there in placements_of(old):
        for held in subsets(there):
            for new in (TUTORIAL, SEVEN, FOUR_STAY, THREE, BESIDE):
                after = decided(there, held, new)
                assert wanted(after) == frozenset(new.profiles.items())
                best = known.best(wanted(after), there, held)
                assert (len(after & held), len(after & there), known.left[after]) == best


def test_what_pods_hold_outweighs_any_number_of_instances_that_nobody_holds() -> None:
    """With the 3g at 4 two 1g could stay, with the 3g at 0 only the one at 5."""
    there: State = frozenset(("1g.10gb", start) for start in (0, 1, 2, 3, 5))
    new = gpu_layout("3g.40gb:4", "1g.10gb:0", "1g.10gb:1")
    assert decided(there, frozenset(), new) == {("3g.40gb", 4), ("1g.10gb", 0), ("1g.10gb", 1)}
    held: State = frozenset({("1g.10gb", 5)})
    assert decided(there, held, new) == {("3g.40gb", 0), ("1g.10gb", 4), ("1g.10gb", 5)}


def test_an_instance_whose_device_is_whole_outweighs_those_that_need_another_compute_instance() -> None:
    """And one of these outweighs a place that nothing has."""
    whole, other, none = (
        Instance(1, Place("3g.40gb", 0), None, ("MIG-1",)),
        Instance(2, Place("3g.40gb", 4), (0, 0), ("MIG-2", "MIG-3")),
        Instance(3, Place("3g.40gb", 0), ()),
    )

    def shape(*there: Instance, held: set[str]) -> set[Place]:
        one = gpu_layout("3g.40gb:4")
        return set(nearest_shape(Gpu("GPU-0", True, True, there), one, PROFILES, held, at_boot=False))

    assert shape(whole, other, held={"MIG-2"}) == {Place("3g.40gb", 0)}
    assert shape(none, held=set()) == {Place("3g.40gb", 0)}
    assert shape(other, held=set()) == {Place("3g.40gb", 4)}


def test_at_a_boot_each_instance_comes_to_its_own_place_unless_a_pod_holds_one_at_another() -> None:
    """Somebody made the 1g at 0: without a pod on it, it goes. Other places would leave more creatable."""
    one = gpu_layout("3g.40gb:0", "1g.10gb:6")
    assert decided(frozenset(), frozenset(), one, at_boot=True) == {("3g.40gb", 0), ("1g.10gb", 6)}
    assert decided(frozenset({("1g.10gb", 6)}), frozenset(), one, at_boot=True) == {("3g.40gb", 0), ("1g.10gb", 6)}
    other: State = frozenset({("1g.10gb", 0)})
    assert decided(other, frozenset(), one, at_boot=True) == {("3g.40gb", 0), ("1g.10gb", 6)}
    assert decided(other, other, one, at_boot=True) == {("3g.40gb", 4), ("1g.10gb", 0)}
    both: State = frozenset({("1g.10gb", 1), ("1g.10gb", 5)})
    assert decided(both, frozenset(), gpu_layout("1g.10gb:1"), at_boot=True) == {("1g.10gb", 1)}
    assert decided(both, frozenset(), gpu_layout("1g.10gb:1")) == {("1g.10gb", 5)}
    little = gpu_layout("1g.10gb:0", "1g.10gb:5")
    assert decided(frozenset({("1g.10gb", 5)}), frozenset(), little, at_boot=True) == {("1g.10gb", 0), ("1g.10gb", 5)}
    assert decided(frozenset({("1g.10gb", 5)}), frozenset(), little) == {("1g.10gb", 4), ("1g.10gb", 5)}


def test_an_empty_gpu_gets_the_places_of_the_layout_whatever_they_leave_creatable() -> None:
    """So that an administrator's own layout is made as it is written."""
    assert decided(frozenset(), frozenset(), gpu_layout("3g.40gb:0", "1g.10gb:5")) == {("3g.40gb", 0), ("1g.10gb", 5)}


@pytest.mark.parametrize("model", MODELS)
def test_a_gpu_tells_the_same_profiles_as_the_plan_has_of_it(gpus: Make, model: str) -> None:
    """So that both decide alike: names, ids, slices, starts, how many, and their order."""
    told = read_profiles(NvidiaSmi(gpus(model).machine), 0)
    known = gpu_models()[model].profiles
    assert list(told) == [profile.name for profile in known]
    for one, other in zip(told.values(), known, strict=True):
        assert one == Profile(
            other.name, other.id, other.compute_slices, other.memory_slices, other.starts, other.maximum
        )


# ---- on a GPU


def devices(gpus: Gpus) -> dict[str, str]:
    """Place -> UUID of every MIG device of the first GPU."""
    smi = NvidiaSmi(gpus.machine)
    return {str(i.place): i.uuids[0] for i in with_uuids(smi, 0, read_gpu(smi, 0)).instances}


@pytest.fixture
def live(gpus: Make) -> LiveNode:
    return LiveNode(gpus("A100-80GB"))


def hold(live: LiveNode, **places: str) -> None:
    """Let a pod of each of these names hold the device at a place, so that the GPU will not let it go either."""
    uuids = devices(live.gpus)
    live.uuids = list(uuids.values())
    live.hold(*((name, list(uuids).index(place)) for name, place in places.items()))
    live.gpus.faults(busy=[uuids[place] for place in places.values()])


def dry_run(live: LiveNode, new: GpuLayout, *options: str) -> Called:
    return call(live.machine, "apply", "--json", "--dry-run", *options, stdin=layout(new))


def test_an_instance_added_beside_another_does_not_move_it(live: LiveNode) -> None:
    """On an empty GPU the 3g would lie at 0 in the new layout and at 4 in the old one."""
    live.apply(gpu_layout("3g.40gb:4"))
    hold(live, training="3g.40gb at 4")
    before = devices(live.gpus)
    ended = live.apply(BESIDE)
    assert ended.status == 0, ended.stderr
    (gpu,) = ended.report.gpus
    assert (gpu.kept, gpu.removed, gpu.created) == (("3g.40gb at 4",), (), ("1g.20gb at 0",))
    assert gpu.commands == ("nvidia-smi mig -i 0 -cgi 15:0 -C",)
    assert devices(live.gpus)["3g.40gb at 4"] == before["3g.40gb at 4"]
    assert live.work() == ["training"]
    again = live.apply(BESIDE)
    assert (again.status, again.report.changed, again.report.gpus[0].commands) == (0, False, ())


def test_what_pods_hold_decides_which_of_equal_instances_stay(live: LiveNode) -> None:
    hold(live, one="1g.10gb at 4", two="1g.10gb at 6")
    before = devices(live.gpus)
    ended = live.apply(THREE)
    assert ended.status == 0, ended.stderr
    assert ended.report.gpus[0].kept == ("1g.10gb at 4", "1g.10gb at 5", "1g.10gb at 6")
    assert ended.report.gpus[0].created == ("3g.40gb at 0",)
    assert {place: uuid for place, uuid in devices(live.gpus).items() if place.startswith("1g")} == {
        f"1g.10gb at {start}": before[f"1g.10gb at {start}"] for start in (4, 5, 6)
    }
    assert live.work() == ["one", "two"]


def test_only_pods_that_no_placement_could_keep_have_to_go(live: LiveNode) -> None:
    """Four 1g beside a 3g lie at 0 to 3: of what is held there two stay, what is held at 5 cannot."""
    hold(live, first="1g.10gb at 0", second="1g.10gb at 2", third="1g.10gb at 5")
    refused = live.apply(FOUR_STAY)
    assert refused.status == 1
    assert "pods hold devices that must go: work/third (1g.10gb at 5). Delete them" in refused.stderr
    live.gpus.faults()
    assert live.apply(FOUR_STAY, options=("--drain",)).status == 0
    assert live.work() == ["first", "second"]


def test_an_instance_that_is_in_use_without_a_pod_is_refused_and_everything_is_as_it_was(live: LiveNode) -> None:
    """By a process outside of Kubernetes, which only the GPU knows."""
    before = devices(live.gpus)
    live.gpus.faults(busy=[before["1g.10gb at 5"]])
    ended = live.apply(THREE)
    assert (ended.status, devices(live.gpus)) == (1, before)
    assert "1g.10gb at 5 cannot be removed" in ended.report.gpus[0].reason
    assert ended.report.gpus[0].restored is True


# ---- what a dry run tells


def test_a_dry_run_tells_what_stays_goes_and_comes_as_pods_hold_it_now(live: LiveNode) -> None:
    hold(live, one="1g.10gb at 6")
    before, remembered = live.gpus.state(), live.machine.read("etc/mig-k8s/layout.json")
    ended = dry_run(live, THREE)
    (gpu,) = ended.report.gpus
    assert (ended.status, gpu.outcome, gpu.pods) == (0, "planned", ())
    assert "       keeps 1g.10gb at 4, 1g.10gb at 5, 1g.10gb at 6\n" in ended.stderr
    assert "       removes 1g.10gb at 0, 1g.10gb at 1, 1g.10gb at 2, 1g.10gb at 3\n" in ended.stderr
    assert "       makes 3g.40gb at 0\n" in ended.stderr
    assert (live.gpus.state(), live.machine.read("etc/mig-k8s/layout.json")) == (before, remembered)
    done = live.apply(THREE).report.gpus[0]
    assert (done.kept, done.removed, done.created, done.commands) == (gpu.kept, gpu.removed, gpu.created, gpu.commands)


def test_a_dry_run_tells_that_pods_would_refuse_it_and_still_what_it_would_cost(live: LiveNode) -> None:
    hold(live, first="1g.10gb at 0", third="1g.10gb at 5")
    ended = dry_run(live, FOUR_STAY)
    (gpu,) = ended.report.gpus
    assert (ended.status, ended.report.applied, gpu.outcome) == (1, False, "refused")
    assert gpu.reason.startswith("pods hold devices that must go: work/third (1g.10gb at 5). Delete them")
    assert gpu.pods == ("work/third (1g.10gb at 5)",)
    assert gpu.removed == ("1g.10gb at 4", "1g.10gb at 5", "1g.10gb at 6")
    assert gpu.commands
    assert live.work() == ["first", "third"]
    assert live.api.calls("kubectl label") == []


def test_a_dry_run_that_drains_names_the_pods_and_asks_their_budgets_without_ending_any(live: LiveNode) -> None:
    hold(live, third="1g.10gb at 5")
    ended = dry_run(live, FOUR_STAY, "--drain")
    assert (ended.status, ended.report.gpus[0].outcome) == (0, "planned")
    assert "       ends pods work/third (1g.10gb at 5)\n" in ended.stderr
    live.api.change(budgets={"third": ["one-third"]})
    ended = dry_run(live, FOUR_STAY, "--drain")
    assert (ended.status, ended.report.gpus[0].outcome) == (1, "refused")
    assert "The disruption budget one-third needs 1 healthy pods" in ended.report.gpus[0].reason
    assert live.work() == ["third"]


def test_a_dry_run_of_what_is_there_asks_no_pods(live: LiveNode) -> None:
    ended = dry_run(live, SEVEN)
    assert (ended.status, ended.report.gpus[0].outcome) == (0, "unchanged")
    assert live.api.calls() == []


# ---- boots, and ends on the way


@pytest.mark.parametrize("model", ["A100-80GB", "H100-80GB"])
def test_a_boot_brings_each_instance_back_to_where_it_was_with_its_uuid(gpus: Make, model: str) -> None:
    """Which is not where an empty GPU would get it."""
    gpu = gpus(model)
    gpu.enable()
    for new in (gpu_layout("3g.40gb:4"), BESIDE):
        assert call(gpu.machine, "apply", stdin=layout(new)).status == 0
    before = devices(gpu)
    assert list(before) == ["1g.20gb at 0", "3g.40gb at 4"]
    for _ in range(2):
        gpu.reboot()
        assert call(gpu.machine, "boot").status == 0
        assert devices(gpu) == before
        assert call(gpu.machine, "apply", stdin=layout(BESIDE)).report.changed is False


def test_a_boot_that_was_cut_short_goes_on_with_the_same_places(gpus: Make) -> None:
    gpu = gpus("A100-80GB")
    gpu.enable()
    call(gpu.machine, "apply", stdin=layout(gpu_layout("1g.10gb:0", "1g.10gb:5")))
    before = devices(gpu)
    for first in ("19:0", "19:5"):
        gpu.reboot()
        gpu.smi("mig", "-cgi", first, "-C")
        assert call(gpu.machine, "boot").status == 0
        assert devices(gpu) == before


@pytest.mark.parametrize(
    ("matching", "at", "left", "removed"),
    [
        ("nvidia-smi .*-dgi", 2, ["19:0", "19:1", "19:2", "19:5-", "19:6-"], ("1g.10gb at 5", "1g.10gb at 6")),
        ("nvidia-smi .*-cgi 9:4", 1, ["19:0", "19:1", "19:2", "9:4"], ()),
    ],
)
def test_killed_half_way_the_next_run_moves_nothing_more(
    a100: Gpus, matching: str, at: int, left: list[str], removed: tuple[str, ...]
) -> None:
    """What the next run finds whole stays."""
    call(a100.machine, "apply", stdin=layout(SEVEN))
    before = devices(a100)
    fate = {"matching": matching, "at": at, "when": "after", "what": "SIGKILL"}
    assert call_process(a100.machine, "apply", stdin=layout(THREE), fate=fate).status == -9
    assert a100.places() == left
    ended = call(a100.machine, "apply", stdin=layout(THREE))
    assert (ended.status, ended.report.gpus[0].removed) == (0, removed)
    assert a100.places() == ["19:0", "19:1", "19:2", "9:4"]
    for start in range(3):
        assert devices(a100)[f"1g.10gb at {start}"] == before[f"1g.10gb at {start}"]


def test_what_somebody_moved_by_hand_is_right_and_the_next_boot_knows_it(gpus: Make) -> None:
    gpu = gpus("A100-80GB")
    gpu.enable()
    call(gpu.machine, "apply", stdin=layout(gpu_layout("2g.20gb:0")))
    gpu.smi("mig", "-dci")
    gpu.smi("mig", "-dgi")
    gpu.smi("mig", "-cgi", "14:2", "-C")
    ended = call(gpu.machine, "apply", stdin=layout(gpu_layout("2g.20gb:0")))
    assert (ended.status, ended.report.changed) == (0, False)
    remembered = json.loads(gpu.machine.read("etc/mig-k8s/layout.json"))
    assert remembered["gpus"][0]["instances"] == [{"profile": "2g.20gb", "start": 2}]


def test_a_layout_of_an_older_release_whose_places_were_fixed_says_the_same_profiles(live: LiveNode) -> None:
    """It has the same form and version; its starts, too, are what an empty GPU gets."""
    older = {
        "version": 1,
        "gpus": [{"index": 0, "mode": True, "instances": [{"profile": "1g.10gb", "start": n} for n in (2, 3, 4)]}],
        "onChange": "refuse",
    }
    hold(live, one="1g.10gb at 6")
    assert call(live.machine, "apply", stdin=json.dumps(older)).status == 0
    assert list(devices(live.gpus)) == ["1g.10gb at 4", "1g.10gb at 5", "1g.10gb at 6"]
