"""A change of layout removes no instance that could have stayed, measured by trying every state of the GPU.

tests/bench/layout_changes.py does it from every state of every model, media extensions included, in some minutes.
"""

from functools import cache
from random import Random

import pytest

from machine.documents.layout import GpuLayout, Place
from machine.placement import choose, creatable, largest_first
from mig_states import MODELS, State, Wanted, every, table, wanted
from plan.gpu.catalogue import gpu_models
from plan.gpu.nearest import layouts
from plan.gpu.placement import best_placement, placement_after


def gpu(state: State) -> GpuLayout:
    return GpuLayout(0, mode=True, instances=tuple(Place(*place) for place in sorted(state)))


def state(places: tuple[Place, ...] | None) -> State:
    assert places is not None
    return frozenset((place.profile, place.start) for place in places)


@cache
def own_places(model: str, *, media: bool) -> dict[Wanted, GpuLayout]:
    """Every layout with an instance -> what the plan gives an empty GPU for it. `media`: those with `+me` too."""
    return {
        layout: gpu(state(best_placement(gpu_models()[model], dict(layout))))
        for layout in every(model).by_layout
        if layout and (media or not any(name.endswith("+me") for name, _ in layout))
    }


@pytest.mark.parametrize("model", MODELS)
def test_the_plan_knows_exactly_the_layouts_that_nvidias_tables_allow(model: str) -> None:
    assert {frozenset(layout) for layout in layouts(gpu_models()[model])} == set(every(model).by_layout)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_still_creatable_is_what_nvidias_tables_allow_beside_each_state(model: str) -> None:
    for there, left in every(model).left.items():
        assert creatable(gpu_models()[model].profiles, gpu(there).instances) == left


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_gpu_is_left_with_the_largest_profiles_creatable(model: str) -> None:
    known = every(model)
    for layout, made in own_places(model, media=True).items():
        assert known.left[state(made.instances)] == max(known.left[one] for one in known.by_layout[layout])


@pytest.mark.parametrize("model", [model for model in MODELS if model != "A30-24GB"])
def test_all_models_of_eight_slices_are_divided_alike(model: str) -> None:
    """What is proven of one is proven of all: the solver reads nothing else, and of names only that they differ."""
    assert _divided(model) == _divided("A100-80GB")


def _divided(model: str) -> list[tuple[object, ...]]:
    return [
        (p.compute_slices, p.memory_slices, p.starts, p.maximum, p.name.endswith("+me"))
        for p in largest_first(gpu_models()[model].profiles)
    ]


# Of all changes from one layout to another, each beginning at the places that an empty GPU gets: how many there are,
# how many instances they remove now, and how many they removed when every layout had fixed places. The other models
# have the A100's slices and starts under other names, see `test_all_models_of_eight_slices_are_divided_alike`.
@pytest.mark.parametrize(
    ("model", "media", "changes", "removed", "with_fixed_places"),
    [
        ("A100-80GB", False, 5852, 13254, 13254 + 1750),
        ("A30-24GB", True, 342, 493, 493 + 87),
    ],
)
def test_no_change_between_two_layouts_removes_what_could_stay(
    model: str, media: bool, changes: int, removed: int, with_fixed_places: int
) -> None:
    """And of the placements that keep as much, one is chosen that leaves the most creatable."""
    known, own = every(model), own_places(model, media=media)
    counted = gone = fixed = 0
    for there in own.values():
        before = state(there.instances)
        for layout, made in own.items():
            if made is there:
                continue
            after = state(placement_after(gpu_models()[model], there, made))
            assert (0, len(after & before), known.left[after]) == known.best(layout, before)
            assert wanted(after) == layout
            counted += 1
            gone += len(before - after)
            fixed += len(before - state(made.instances))
    assert (counted, gone, fixed) == (changes, removed, with_fixed_places)


@pytest.mark.exhaustive
def test_no_history_of_three_changes_removes_what_could_stay() -> None:
    """A100 80 GB without media extensions: from every state that two changes can lead to, to every layout.

    Two changes lead to 359 of its 722 states, so this is all 77 × 77 × 77 × 77 histories.
    """
    profiles, known, own = gpu_models()["A100-80GB"].profiles, every("A100-80GB"), own_places("A100-80GB", media=False)
    latest = {state(made.instances) for made in own.values()}
    seen = set(latest)
    reached = []
    for _ in range(3):
        reached.append(len(seen))
        after_one_more = set()
        for before in latest:
            worth = {Place(*place): 1 for place in before}
            for layout, made in own.items():
                after = state(choose(profiles, made.profiles, worth, made.instances))
                assert (0, len(after & before), known.left[after]) == known.best(layout, before)
                after_one_more.add(after)
        latest = after_one_more - seen
        seen |= latest
    assert reached == [77, 257, 359]


def test_media_extensions_stay_where_they_can_too() -> None:
    """A thousand of the 294,513 changes from a state of an A100 80 GB to a layout, `+me` included."""
    profiles, known, own = gpu_models()["A100-80GB"].profiles, every("A100-80GB"), own_places("A100-80GB", media=True)
    random = Random(13)  # noqa: S311 - a choice of cases, the same every time
    states, targets = sorted(known.left, key=sorted), sorted(own, key=sorted)
    for _ in range(1000):
        before, layout = random.choice(states), random.choice(targets)
        worth = {Place(*place): 1 for place in before}
        after = state(choose(profiles, dict(layout), worth, own[layout].instances))
        assert (0, len(after & before), known.left[after]) == known.best(layout, before)
        assert wanted(after) == layout


def test_a_layout_that_is_there_stays_wherever_it_lies() -> None:
    """The second run of every change does nothing: all 2,319 states of an A100 80 GB."""
    profiles = gpu_models()["A100-80GB"].profiles
    for layout, states in every("A100-80GB").by_layout.items():
        preferred = best_placement(gpu_models()["A100-80GB"], dict(layout)) or ()
        for there in states:
            assert state(choose(profiles, dict(layout), {Place(*place): 1 for place in there}, preferred)) == there


def test_of_equal_places_those_of_the_layout_are_taken_and_then_those_on_the_left() -> None:
    profiles = gpu_models()["A100-80GB"].profiles
    there = {Place("4g.40gb", 0): 1}
    wanted_counts = {"4g.40gb": 1, "2g.20gb": 1}
    assert choose(profiles, wanted_counts, there, ()) == (Place("4g.40gb", 0), Place("2g.20gb", 4))
    three = {"4g.40gb": 1, "1g.10gb": 1, "1g.10gb+me": 1}
    assert choose(profiles, three, there, ()) == (
        Place("4g.40gb", 0),
        Place("1g.10gb", 4),
        Place("1g.10gb+me", 5),
    )
    preferred = (Place("1g.10gb", 5), Place("1g.10gb+me", 4))
    assert choose(profiles, three, there, preferred) == (
        Place("4g.40gb", 0),
        Place("1g.10gb", 5),
        Place("1g.10gb+me", 4),
    )


@pytest.mark.parametrize("model", MODELS)
def test_profiles_come_largest_first_in_whatever_order_a_gpu_lists_them(model: str) -> None:
    """Compute slices, then memory slices; of two alike the one with media extensions, which fits once, comes last."""
    profiles = gpu_models()[model].profiles
    listed = [*reversed(profiles[2:]), *profiles[:2]]
    assert [profile.name for profile in largest_first(listed)] == [row.name for row in table(model)]


def test_what_has_no_room_has_no_places() -> None:
    profiles = gpu_models()["A100-80GB"].profiles
    assert choose(profiles, {"3g.40gb": 2, "1g.10gb": 1}, {}, ()) is None
