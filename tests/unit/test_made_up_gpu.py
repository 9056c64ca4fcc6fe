"""A GPU and a size that nobody sells, added to the catalogue as data alone: no code of the plan names a model."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plan import StackPlan
from plan.gpu import catalogue
from plan.report.summary import summary

_CACHES = (catalogue._catalogue, catalogue.gpu_models, catalogue.vm_sizes)
_PROFILES = [
    {"name": "1g.30gb", "id": 19, "compute_slices": 1, "memory_slices": 1, "starts": [0, 1, 2, 3], "maximum": 4},
    {"name": "2g.60gb", "id": 14, "compute_slices": 2, "memory_slices": 2, "starts": [0, 2], "maximum": 2},
    {"name": "4g.120gb", "id": 0, "compute_slices": 4, "memory_slices": 4, "starts": [0], "maximum": 1},
]
_MODEL = {
    "title": "NVIDIA X200 120 GB",
    "memory_slots": 4,
    "compute_slices": 4,
    "mode_needs_reboot": False,
    "profiles": [{**profile, "multiprocessors": 20} for profile in _PROFILES],
}


@pytest.fixture
def _with_x200(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    content = json.loads(catalogue._CATALOGUE.read_text(encoding="utf-8"))
    content["models"]["X200-120GB"] = _MODEL
    content["sizes"]["Standard_NC80_X200_v9"] = {"vcpus": 80, "gpu": "X200-120GB", "gpu_count": 2}
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps(content))
    monkeypatch.setattr(catalogue, "_CATALOGUE", file)
    for each in _CACHES:
        each.cache_clear()
    yield
    monkeypatch.undo()
    for each in _CACHES:
        each.cache_clear()


@pytest.mark.usefixtures("_with_x200")
def test_a_stack_of_a_gpu_that_only_the_catalogue_knows_is_planned_and_shown(planned: Callable[..., StackPlan]) -> None:
    pool = {"name": "x", "vmSize": "Standard_NC80_X200_v9", "migDevices": {"2g.60gb": 1, "1g.30gb": 2}}
    stack = planned(nodePools=[pool], mig={"strategy": "mixed"})
    (node,) = stack.nodes
    assert node.layout is not None
    assert node.layout.modes == (True, True)
    (machine,) = summary(stack)["nodes"]
    assert [gpu["model"] for gpu in machine["gpus"]] == ["X200-120GB"] * 2
    placed = [(instance["profile"], instance["start"]) for instance in machine["gpus"][0]["instances"]]
    assert sorted(placed) == [("1g.30gb", 2), ("1g.30gb", 3), ("2g.60gb", 0)]
    assert machine["allocatable"] == {"nvidia.com/mig-2g.60gb": 2, "nvidia.com/mig-1g.30gb": 4}
