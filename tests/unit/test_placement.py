"""The solver: what fits, where it goes, and what is kept."""

import time
from itertools import combinations_with_replacement, product
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from machine import placement
from machine.placement import creatable
from mig_states import every
from plan.gpu.catalogue import GpuModel, Profile, gpu_models
from plan.gpu.nearest import layouts, nearest, refusal, written
from plan.gpu.placement import best_placement, counts, fits

A100 = gpu_models()["A100-80GB"]
MODELS = list(gpu_models().values())

# NVIDIA's 37 layouts of 1g, 2g, 3g, 4g and 7g on a GPU of 8 memory and 7 compute slices.
_LAYOUTS_OF_NVIDIA = """
7g; 4g+3g; 4g+2g+1g; 4g+2g; 4g+1g+1g+1g; 4g+1g+1g; 4g+1g; 4g; 3g+3g; 3g+2g+2g; 3g+2g+1g+1g; 3g+2g+1g; 3g+2g;
3g+1g+1g+1g+1g; 3g+1g+1g+1g; 3g+1g+1g; 3g+1g; 3g; 2g+2g+2g+1g; 2g+2g+2g; 2g+2g+1g+1g+1g; 2g+2g+1g+1g; 2g+2g+1g; 2g+2g;
2g+1g+1g+1g+1g+1g; 2g+1g+1g+1g+1g; 2g+1g+1g+1g; 2g+1g+1g; 2g+1g; 2g; 1g+1g+1g+1g+1g+1g+1g; 1g+1g+1g+1g+1g+1g;
1g+1g+1g+1g+1g; 1g+1g+1g+1g; 1g+1g+1g; 1g+1g; 1g
"""
_NAMES = {"7g": "7g.80gb", "4g": "4g.40gb", "3g": "3g.40gb", "2g": "2g.20gb", "1g": "1g.10gb"}


def _counted(names: list[str]) -> dict[str, int]:
    return {name: names.count(name) for name in names}


def _placed(wanted: dict[str, int]) -> list[str]:
    found = best_placement(A100, wanted)
    assert found is not None
    return [f"{instance.profile}@{instance.start}" for instance in found]


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ({"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}, ["3g.40gb@4", "2g.20gb@0", "1g.10gb@2"]),
        ({"1g.10gb": 7}, [f"1g.10gb@{start}" for start in range(7)]),
        ({"3g.40gb": 1, "1g.10gb": 4}, ["3g.40gb@4", *(f"1g.10gb@{start}" for start in range(4))]),
        ({"4g.40gb": 1, "3g.40gb": 1}, ["4g.40gb@0", "3g.40gb@4"]),
        ({"3g.40gb": 2}, ["3g.40gb@0", "3g.40gb@4"]),
        ({"7g.80gb": 1}, ["7g.80gb@0"]),
        ({}, []),
    ],
)
def test_layouts_go_to_these_places(wanted: dict[str, int], where: list[str]) -> None:
    """The tutorial's layouts and the plain ones."""
    assert _placed(wanted) == where


def test_a_single_3g_sits_right_so_that_a_4g_can_still_be_made() -> None:
    """4g begins at slot 0 only."""
    assert _placed({"3g.40gb": 1}) == ["3g.40gb@4"]


def test_small_instances_leave_the_largest_profile_creatable() -> None:
    """Two 1g on the right: the left half still takes a 4g."""
    assert _placed({"1g.10gb": 2}) == ["1g.10gb@4", "1g.10gb@5"]


def test_exactly_nvidias_layouts_fit() -> None:
    """All 37, and no other multiset of the five plain profiles."""
    expected = {
        tuple(sorted(_NAMES[part] for part in layout.strip().split("+"))) for layout in _LAYOUTS_OF_NVIDIA.split(";")
    }
    assert len(expected) == 37
    tried = (choice for size in range(1, 8) for choice in combinations_with_replacement(_NAMES.values(), size))
    assert {tuple(sorted(choice)) for choice in tried if fits(A100, _counted(list(choice)))} == expected


@pytest.mark.parametrize("model", [model for model in MODELS if model.memory_slots == 8], ids=lambda model: model.name)
def test_127_layouts_fit_with_media_extensions_and_double_memory(model: GpuModel) -> None:
    """The number that counting by brute force gives (and the empty one)."""
    assert len(layouts(model)) == 128


@pytest.mark.parametrize(
    "layout",
    ["3g.40gb 3g.40gb 1g.10gb", "2g.20gb 2g.20gb 2g.20gb 2g.20gb", "4g.40gb 4g.40gb", "1g.10gb+me 1g.10gb+me"],
)
def test_the_known_impossible_layouts_do_not_fit(layout: str) -> None:
    """NVIDIA's tables and the issue trackers name them."""
    assert not fits(A100, _counted(layout.split()))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_what_fits_is_exactly_what_a_state_of_the_gpu_has(model: GpuModel) -> None:
    """Every multiset up to one more than the maxima, against all states that NVIDIA's tables allow."""
    possible = {tuple(sorted(layout)) for layout in every(model.name).by_layout}
    for numbers in product(*(range(profile.maximum + 2) for profile in model.profiles)):
        wanted = dict(zip((profile.name for profile in model.profiles), numbers, strict=True))
        assert fits(model, wanted) == (counts(wanted) in possible)


_gpus = st.sampled_from(MODELS)
_layouts = _gpus.flatmap(lambda model: st.tuples(st.just(model), st.sampled_from(sorted(layouts(model)))))


@given(_layouts)
def test_instances_never_overlap_and_start_where_they_may(case: tuple[GpuModel, tuple[tuple[str, int], ...]]) -> None:
    """Of every layout that fits."""
    model, layout = case
    found = best_placement(model, dict(layout))
    assert found is not None
    slots = []
    for instance in found:
        profile = model.profile(instance.profile)
        assert profile is not None
        assert instance.start in profile.starts
        slots += range(instance.start, instance.start + profile.memory_slices)
    assert len(slots) == len(set(slots))
    assert all(slot < model.memory_slots for slot in slots)
    assert _counted([instance.profile for instance in found]) == dict(layout)


@given(_layouts, st.randoms())
def test_the_order_of_writing_does_not_matter(
    case: tuple[GpuModel, tuple[tuple[str, int], ...]], random: Random
) -> None:
    """{a: 1, b: 2} and {b: 2, a: 1} are one layout."""
    model, layout = case
    shuffled = list(layout)
    random.shuffle(shuffled)
    assert best_placement(model, dict(shuffled)) == best_placement(model, dict(layout))


@given(_layouts)
def test_a_part_of_what_fits_fits(case: tuple[GpuModel, tuple[tuple[str, int], ...]]) -> None:
    """Monotone."""
    model, layout = case
    for name, count in layout:
        assert fits(model, {**dict(layout), name: count - 1})


@given(_layouts)
def test_a_layout_as_it_is_written_reads_back_as_itself(case: tuple[GpuModel, tuple[tuple[str, int], ...]]) -> None:
    """What a report proposes can be pasted into the stack file."""
    _, layout = case
    assert yaml.safe_load(written(dict(layout))) == dict(layout)


def test_what_is_still_creatable_after_the_tutorials_layout() -> None:
    """One slot and one compute slice are left: a 1g, with or without media engines."""
    found = best_placement(A100, {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1})
    assert found is not None
    left = dict(zip((profile.name for profile in A100.profiles), creatable(A100.profiles, found), strict=True))
    assert {name: count for name, count in left.items() if count} == {"1g.10gb": 1, "1g.10gb+me": 1}


def test_sums_that_fit_but_have_no_placement_are_told_so() -> None:
    """No GPU of today has such a layout; a profile with a single start would."""
    half = Profile(name="2g.half", id=1, compute_slices=2, memory_slices=2, starts=(0,), maximum=2, multiprocessors=28)
    odd = GpuModel(
        name="odd", title="Odd GPU", memory_slots=4, compute_slices=4, mode_needs_reboot=False,
        profiles=(half,),
    )  # fmt: skip
    refused = refusal(odd, {"2g.half": 2})
    assert refused.what == "the slices add up, but Odd GPU has no placement for all instances at once"
    assert refused.allowed == "instances start at certain memory slots only: 2g.half at 0"
    assert refused.remedy.replace("\u00a0", " ") == "Nearest layouts that fit: {2g.half: 1}."


def test_the_nearest_layouts_change_little_and_fill_the_gpu() -> None:
    """The same layout less what is too much comes first."""
    assert nearest(A100, {"4g.40gb": 1, "2g.20gb": 2}) == (
        {"4g.40gb": 1, "2g.20gb": 1},
        {"4g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1},
        {"4g.40gb": 1, "2g.20gb": 1, "1g.20gb": 1},
    )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_question_about_one_gpu_takes_less_than_10_ms(model: GpuModel) -> None:
    """The slowest of all layouts, best of three on the processor's clock, nothing remembered from before."""
    slowest = 0.0
    for layout in layouts(model):
        times = []
        for _ in range(3):
            placement._every.cache_clear()
            begun = time.process_time()
            best_placement(model, dict(layout))
            times.append(time.process_time() - begun)
        slowest = max(slowest, min(times))
    assert slowest < 0.010
