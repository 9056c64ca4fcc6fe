"""The same GPUs twice: what nvidia-smi changes on the left, the driver's library changes on the right."""

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fake_gpu import FakeGpu
from nvml_process import NvmlError, client_of
from nvml_views import (
    by_nvitop,
    compute_instances,
    devices,
    instances,
    listed,
    printed_compute_instances,
    printed_devices,
    printed_instances,
    printed_list,
    printed_query,
    query,
)

from sandbox.tools import toolchain

UUIDS = ("GPU-00000000-0000-0000-0000-000000000001", "GPU-00000000-0000-0000-0000-000000000002")
BUSES = ("00000001:00:00.0", "00000002:00:00.0")
SUCCESS, NOT_SUPPORTED, GPU_LOST, IN_USE = 0, 3, 15, 19
DRIVER = "580.159.04"
ACTIVATIONS = {
    SUCCESS: "MIG Mode for GPU",
    NOT_SUPPORTED: ":Not Supported\n",
    IN_USE: ":In use by another client\n",
}
"""What nvidia-smi says for why a mode does not hold at once."""


class TwoSides:
    """Do every operation on both sides; it must end alike and leave the same state. ``ends`` counts how it ended."""

    def __init__(self, *models: str) -> None:
        self._end = ExitStack()
        folder = Path(self._end.enter_context(tempfile.TemporaryDirectory()))
        cards = [
            {"model": model, "uuid": uuid, "pci_bus_id": bus}
            for model, uuid, bus in zip(models, UUIDS, BUSES, strict=True)
        ]
        self._gpus, self._clients = [], []
        for side in ("left", "right"):
            (folder / side).mkdir()
            gpu = FakeGpu(folder / side, toolchain.gpu())
            gpu.plug(*cards)
            gpu.load_driver(DRIVER)
            client = self._end.enter_context(client_of(gpu, toolchain.nvml()))
            client.call("nvmlInit")
            self._gpus.append(gpu)
            self._clients.append(client)
        self.left, self._library = self._gpus[0], self._clients[1]
        self.ends: Counter[tuple[str, int]] = Counter()

    def end(self) -> None:
        self._end.close()

    def set_mode(self, index: int, *, on: bool) -> None:
        left = self.left.smi(f"-mig {int(on)} -i {index}")
        try:
            activation = self._library.call("ask", "nvmlDeviceSetMigMode", index, int(on))
            code = SUCCESS
        except NvmlError as refused:
            code = refused.code
        assert left.returncode == code
        if code:
            self.ends["mode refused", code] += 1
            return
        assert ACTIVATIONS[activation] in left.stdout
        self.ends["mode", activation] += 1

    def change(self, index: int, smi: str, function: str, *arguments: int | None) -> None:
        """A change of instances. nvidia-smi passes over GPUs whose MIG mode is off, and ends well then."""
        left = self.left.smi(f"mig -i {index} {smi}")
        right = self._library.code(function, index, *arguments)
        skipped = left.stdout == "No MIG-enabled devices found.\n"
        assert right == (NOT_SUPPORTED if skipped else left.returncode), f"mig -i {index} {smi}: {left.stdout}"
        self.ends[function, right] += 1

    def fault(self, faults: dict[str, Any]) -> None:
        for gpu in self._gpus:
            gpu.fault(faults)

    def reboot(self) -> None:
        for gpu in self._gpus:
            gpu.reboot()

    def look(self) -> list[dict[str, Any]]:
        """What is there, by the library."""
        return list(self._library.call("picture"))

    def compare(self) -> list[dict[str, Any]]:
        """Hold all views of both sides against each other; what is there, by the library."""
        pictures = [client.call("picture") for client in self._clients]
        for gpu, client, picture in zip(self._gpus, self._clients, pictures, strict=True):
            assert printed_list(gpu) == listed(picture)
            assert printed_instances(gpu) == instances(picture)
            assert printed_compute_instances(gpu) == compute_instances(picture)
            assert printed_devices(gpu) == devices(picture)
            assert printed_query(gpu) == query(picture, DRIVER)
            assert client.call("picture_of_nvitop") == by_nvitop(picture)
            lost = {one["refused"] for one in picture if "refused" in one}
            assert lost <= {GPU_LOST}
            assert gpu.smi("-L").returncode == (GPU_LOST if lost else SUCCESS)
        assert pictures[0] == pictures[1]
        states = [json.loads((gpu.volatile / "state.json").read_text(encoding="utf-8"))["gpus"] for gpu in self._gpus]
        assert states[0] == states[1]
        return list(pictures[0])
