"""Drawings of GPUs that the catalogue does not have: as wide and as many-coloured as their slices."""

import dataclasses
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from machine.documents.layout import GpuLayout, Place
from plan import StackPlan
from plan.gpu.catalogue import GpuModel, Profile
from plan.gpu.layout import Layout
from plan.report.drawing import draw
from plan.report.summary import summary
from plan.report.svg import picture

Planned = Callable[..., StackPlan]


def _model(slots: int, *sizes: int) -> GpuModel:
    """A GPU with as many compute slices as memory slots, and a profile of each of these sizes."""
    profiles = tuple(
        Profile(
            name=f"{size}g.{size * 32}gb",
            id=size,
            compute_slices=size,
            memory_slices=size,
            starts=tuple(range(0, slots - size + 1, size)),
            maximum=slots // size,
            multiprocessors=size * 16,
        )
        for size in sizes
    )
    return GpuModel(
        name="X1",
        title="NVIDIA X1",
        memory_slots=slots,
        compute_slices=slots,
        mode_needs_reboot=False,
        profiles=profiles,
    )


def _drawn(stack: StackPlan, model: GpuModel, *instances: Place) -> StackPlan:
    """The stack with its one GPU of this model, divided so."""
    layout = Layout(model=model, gpus=(GpuLayout(index=0, mode=True, instances=instances),))
    return dataclasses.replace(stack, nodes=(dataclasses.replace(stack.nodes[0], layout=layout),))


def test_a_gpu_of_eight_compute_slices_is_drawn(planned: Planned) -> None:
    stack = _drawn(
        planned(mig={"strategy": "mixed"}),
        _model(8, 6, 2, 1),
        Place("6g.192gb", 0),
        Place("2g.64gb", 6),
    )
    assert (
        "   0        1        2        3        4        5        6        7\n"
        "  ┌─────────────────────────────────────────────────────┬─────────────────┐\n"
        "  │                       6g.192gb                      │     2g.64gb     │\n"
        "  └─────────────────────────────────────────────────────┴─────────────────┘\n"
        "  compute slices 8 of 8, memory slices 8 of 8\n"
    ) in draw(summary(stack), colour=False, width=80)
    assert "\033[30;47m                       6g.192gb                      \033[0m" in draw(
        summary(stack), colour=True
    )


def test_an_instance_that_fills_a_gpu_of_eight_compute_slices_has_a_colour_of_its_own(planned: Planned) -> None:
    stack = _drawn(planned(mig={"strategy": "mixed"}), _model(8, 8), Place("8g.256gb", 0))
    assert len(re.findall(r"\033\[30;104m +8g\.256gb +\033\[0m", draw(summary(stack), colour=True))) == 1


def test_a_gpu_of_four_compute_slices_is_drawn_half_as_wide(planned: Planned) -> None:
    stack = _drawn(
        planned(mig={"strategy": "mixed"}),
        _model(4, 3, 1),
        Place("3g.96gb", 0),
    )
    assert (
        "   0        1        2        3\n"
        "  ┌──────────────────────────┬────────┐\n"
        "  │         3g.96gb          │   ·    │\n"
        "  └──────────────────────────┴────────┘\n"
    ) in draw(summary(stack), colour=False)


def test_a_gpu_with_more_slots_than_the_terminal_has_room_for_has_narrower_ones(planned: Planned) -> None:
    """Sixteen slots of four columns in a terminal of eighty."""
    stack = _drawn(planned(mig={"strategy": "mixed"}), _model(16, 1), Place("1g.32gb", 0))
    lines = draw(summary(stack), colour=False, width=80).splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("  ┌"))
    assert [len(line) for line in lines[top : top + 3]] == [67, 67, 67]
    assert lines[top + 1].startswith("  │ 1g│ · │ · │")


@pytest.mark.parametrize("slots", [4, 8, 16])
def test_a_picture_is_as_wide_as_its_gpu_has_slots(planned: Planned, slots: int) -> None:
    stack = _drawn(planned(mig={"strategy": "mixed"}), _model(slots, 1), Place("1g.32gb", 0))
    root = ET.fromstring(picture(summary(stack)))  # noqa: S314 - our own text
    assert root.get("width") == str({4: 432, 8: 816, 16: 1584}[slots])


def test_a_whole_gpu_has_the_colour_of_an_instance_that_fills_it(planned: Planned) -> None:
    """Also where its compute slices are not seven."""
    stack = planned(mig={"strategy": "none"}, nodePools=[{}])
    layout = Layout(model=_model(4, 4), gpus=(GpuLayout(index=0, mode=False),))
    off = dataclasses.replace(stack, nodes=(dataclasses.replace(stack.nodes[0], layout=layout),))
    assert 'fill="#a5f3fc"' in picture(summary(off))
