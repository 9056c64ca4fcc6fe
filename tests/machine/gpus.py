"""GPUs of the machine of the tests: the sandbox's nvidia-smi, and its own state as the truth."""

import json
import shutil
from pathlib import Path
from typing import Any

from a_machine import AMachine
from gpu_calls import resident

from machine.documents.layout import GpuLayout, Layout, OnChange, Place

PROGRAMS = ("nvidia-smi", "load-driver")
PROFILE_NAMES = {
    0: "7g.80gb",
    5: "4g.40gb",
    9: "3g.40gb",
    14: "2g.20gb",
    15: "1g.20gb",
    19: "1g.10gb",
    20: "1g.10gb+me",
}
"""Of the 80 GB GPUs with eight memory slices."""


class Gpus:
    """The GPUs of a machine. Volatile state goes with a reboot, the hardware stays."""

    def __init__(self, machine: AMachine, program: Path, models: tuple[str, ...]) -> None:
        self.machine = machine
        self.hardware = machine.state / "hardware"
        self.volatile = machine.state / "volatile"
        self.hardware.mkdir()
        for name in PROGRAMS:
            (machine.programs / name).symlink_to(program)
            machine.answers[name] = lambda command, _: resident(program).answer(command, machine.environment)
        machine.environment.update(
            GPU_HARDWARE=str(self.hardware),
            GPU_VOLATILE=str(self.volatile),
            GPU_PRIVILEGED="1",
            GOMAXPROCS="1",  # by stages it is started hundreds of times, for milliseconds
            GOGC="off",
        )
        self.uuids = [f"GPU-{index}0000000-0000-0000-0000-000000000000" for index, _ in enumerate(models)]
        cards = [
            {"index": index, "model": model, "uuid": self.uuids[index], "pci_bus_id": f"0000000{index + 1}:00:00.0"}
            for index, model in enumerate(models)
        ]
        (self.hardware / "gpus.json").write_text(json.dumps(cards), encoding="utf-8")
        self.reboot()

    def reboot(self) -> None:
        """Power off and on: what is volatile is lost, the driver is loaded."""
        shutil.rmtree(self.volatile, ignore_errors=True)
        loaded = self.machine.run("load-driver")
        assert loaded.succeeded, loaded.stderr

    def faults(self, **faults: object) -> None:
        if "hang" in faults:  # in a process of its own, that can be ended
            self.machine.answers.pop("nvidia-smi", None)
        (self.hardware / "faults.json").write_text(json.dumps(faults), encoding="utf-8")

    def smi(self, *arguments: str) -> str:
        ended = self.machine.run("nvidia-smi", *arguments)
        return ended.stdout + ended.stderr

    def enable(self) -> None:
        """MIG mode on all GPUs, with the reboot that it may take."""
        self.smi("-mig", "1")
        self.reboot()
        self.smi("-mig", "1")

    def state(self, index: int = 0) -> list[dict[str, Any]]:
        """GPU instances as the GPU itself keeps them, ordered by their place."""
        path = self.volatile / "state.json"
        gpus = json.loads(path.read_text(encoding="utf-8"))["gpus"] if path.exists() else {}
        instances = (gpus.get(self.uuids[index]) or {}).get("instances") or []
        return sorted(instances, key=lambda instance: int(instance["start"]))

    def places(self, index: int = 0) -> list[str]:
        """Profile id and start of every GPU instance, with `-` when it is not one full compute instance."""
        return [
            f"{instance['profile']}:{instance['start']}{'' if len(instance['compute'] or []) == 1 else '-'}"
            for instance in self.state(index)
        ]

    def mode(self) -> list[str]:
        return self.smi("--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader").splitlines()

    def unload(self) -> None:
        """The driver's module is gone."""
        self.machine.run("load-driver", "--unload")

    def uuids_of_devices(self, index: int = 0) -> list[str]:
        """UUIDs of the MIG devices of a GPU, as nvidia-smi lists them."""
        listed = self.smi("-i", str(index), "-L").splitlines()
        return [line.split("UUID: ")[1].rstrip(")") for line in listed if "UUID: MIG-" in line]


def gpu_layout(*instances: str, mode: bool = True, index: int = 0) -> GpuLayout:
    """One GPU of a layout; an instance is written `3g.40gb:4`."""
    places = [instance.split(":") for instance in instances]
    return GpuLayout(index, mode, tuple(Place(profile, int(start)) for profile, start in places))


def layout(*gpus: GpuLayout, on_change: OnChange = "refuse") -> str:
    """The document."""
    return Layout(gpus, on_change).to_json()


TUTORIAL = gpu_layout("3g.40gb:4", "2g.20gb:0", "1g.10gb:2")
SEVEN = gpu_layout(*(f"1g.10gb:{start}" for start in range(7)))
FOUR_STAY = gpu_layout("3g.40gb:4", *(f"1g.10gb:{start}" for start in range(4)))
"""From SEVEN: the first four stay, a 3g.40gb takes the place of the others."""
