"""The library and nvidia-smi over one state: the same views, changes and refusals."""

import random
from typing import Any

import pytest
from nvml_two_sides import TwoSides

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

STEPS = 100
SUCCESS, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND, GPU_LOST, IN_USE, INSUFFICIENT_RESOURCES = 0, 2, 3, 6, 15, 19, 23
SEEN_TOGETHER = {
    ("create", SUCCESS),
    ("create", INVALID_ARGUMENT),
    ("create", NOT_SUPPORTED),
    ("create", GPU_LOST),
    ("create", INSUFFICIENT_RESOURCES),
    ("create_compute", SUCCESS),
    ("create_compute", INVALID_ARGUMENT),
    ("create_compute", INSUFFICIENT_RESOURCES),
    ("destroy", SUCCESS),
    ("destroy", NOT_FOUND),
    ("destroy", IN_USE),
    ("destroy_compute", SUCCESS),
    ("destroy_compute", NOT_FOUND),
    ("destroy_compute", IN_USE),
    ("mode", SUCCESS),
    ("mode", NOT_SUPPORTED),
    ("mode", IN_USE),
    ("mode refused", GPU_LOST),
}
"""Ends of changes that all walks together have to meet: with fewer they would prove too little."""
SLICES = {19: 1, 20: 1, 15: 2, 14: 2, 9: 4, 5: 4, 0: 8}
"""Memory slices by profile id, of GPUs with eight."""
SLICES_OF_AN_A30 = {14: 1, 21: 1, 5: 2, 6: 2, 0: 4}


class Walk:
    """Layouts, pending modes, reboots and faults, one after the other, drawn at random in the same way every time."""

    def __init__(self, sides: TwoSides, models: tuple[str, str]) -> None:
        self.sides, self.chance = sides, random.Random(" ".join(models))  # noqa: S311 - keeps no secret
        self.slices = [SLICES_OF_AN_A30 if model == "A30-24GB" else SLICES for model in models]
        self.gpus: list[dict[str, Any]] = sides.compare()
        self.most_devices = 0
        self.pending = False

    def step(self) -> None:
        kinds = (
            self.fill,
            self.create,
            self.create_at,
            self.compute,
            self.destroy,
            self.set_mode,
            self.fault,
            self.reboot,
        )
        self.chance.choices(kinds, weights=(10, 2, 2, 4, 5, 2, 5, 1))[0](self.chance.randrange(2))
        self.gpus = self.sides.compare()
        devices = sum(len(gpu.get("devices", ())) for gpu in self.gpus)
        self.most_devices = max(self.most_devices, devices)
        self.pending |= any(gpu["mode"][0] != gpu["mode"][1] for gpu in self.gpus if "mode" in gpu)

    def instances(self, index: int) -> list[dict[str, Any]]:
        return list(self.gpus[index].get("instances", ()))

    def fill(self, index: int) -> None:
        """A GPU instance, and a compute instance in one that has none."""
        self.create(index)
        self.gpus = self.sides.look()
        for instance in self.instances(index):
            if not instance["compute"]:
                part = self.chance.choice((0, 1, 2, 7))
                self.sides.change(index, f"-cci {part} -gi {instance['id']}", "create_compute", instance["id"], part)

    def create(self, index: int) -> None:
        profile = self.chance.choices((19, 20, 15, 14, 9, 5, 0, 21, 46), weights=(6, 2, 3, 3, 2, 1, 1, 1, 1))[0]
        self.sides.change(index, f"-cgi {profile}", "create", profile, None, None)

    def create_at(self, index: int) -> None:
        profile, size = self.chance.choice(list(self.slices[index].items()))
        start = self.chance.randrange(8)
        self.sides.change(index, f"-cgi {profile}:{start}", "create", profile, start, size)

    def compute(self, index: int) -> None:
        identity = self.chance.choice([one["id"] for one in self.instances(index)] or [9])
        part = self.chance.choice((0, 0, 1, 2, 4, 7))
        self.sides.change(index, f"-cci {part} -gi {identity}", "create_compute", identity, part)

    def destroy(self, index: int) -> None:
        """A compute instance, or the GPU instance, or one that is not there."""
        there = [(one["id"], part["id"]) for one in self.instances(index) for part in one["compute"]]
        identity, part = self.chance.choice([*there, (self.chance.randrange(15), 0)])
        if self.chance.random() < 0.7:
            self.sides.change(index, f"-dci -gi {identity} -ci {part}", "destroy_compute", identity, part)
        if self.chance.random() < 0.7:
            self.sides.change(index, f"-dgi -gi {identity}", "destroy", identity)

    def set_mode(self, index: int) -> None:
        self.sides.set_mode(index, on=self.chance.random() < 0.5)

    def fault(self, index: int) -> None:
        """One fault, or the end of all, and then a change."""
        used = [mig["uuid"] for gpu in self.gpus for mig in gpu.get("devices", ())]
        faults: dict[str, Any] = self.chance.choice(
            (
                {},
                {},
                {"cgi_fails_at": self.chance.randint(1, 2)},
                {"cgi_claims_success": True},
                {"mode_stays_pending": True},
                {"off_the_bus": [index]},
                {"busy": used},
            )
        )
        self.sides.fault(faults)
        change = self.destroy if "busy" in faults else self.chance.choice((self.create, self.destroy, self.set_mode))
        change(index)

    def reboot(self, _: int) -> None:
        self.sides.reboot()
        self.sides.fault({})
        for index in (0, 1):  # most changes need MIG mode on
            self.sides.set_mode(index, on=True)


def test_every_walk_leaves_the_library_and_nvidia_smi_agreed() -> None:
    walks = []
    for models in (("A100-80GB", "H100-80GB"), ("H100-NVL-94GB", "A100-40GB"), ("H200-141GB", "A30-24GB")):
        sides = TwoSides(*models)
        try:
            walk = Walk(sides, models)
            for _ in range(2):  # one that needs a reboot for its mode has it then
                walk.reboot(0)
            for _ in range(STEPS):
                walk.step()
        finally:
            sides.end()
        walks.append(walk)
    assert SEEN_TOGETHER - {end for walk in walks for end in walk.sides.ends} == set()
    assert max(walk.most_devices for walk in walks) >= 6
    assert any(walk.pending for walk in walks)
