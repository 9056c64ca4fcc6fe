"""GPUs on a node that runs: GPU clients of the GPU Operator, and pods that hold devices."""

import json

from a_machine import CHECKPOINT, FIRST_BOOT, NAME, AMachine
from calls import Called, call
from gpus import SEVEN, Gpus, layout
from kubernetes_api import DAEMONS, KubernetesApi
from kubernetes_objects import node, pod

from machine.documents.layout import GpuLayout

PAUSED = dict.fromkeys(DAEMONS, "paused-for-mig-change")
RUNNING = dict.fromkeys(DAEMONS, "true")


_SEVEN: dict[str, tuple[list[str], list[str]]] = {}
"""By the GPUs' hardware: their state and InfoROM with seven devices, the remembered layout, the devices' UUIDs."""


def _make_seven(gpus: Gpus) -> list[str]:
    """Seven devices on the first GPU, as `apply` makes them; what it leaves behind is kept for the next test."""
    hardware = (gpus.hardware / "gpus.json").read_text(encoding="utf-8")
    files = [
        gpus.volatile / "state.json",
        gpus.hardware / "inforom.json",
        gpus.machine.path("/etc/mig-k8s/layout.json"),
    ]
    if hardware not in _SEVEN:
        gpus.enable()
        report = call(gpus.machine, "apply", stdin=layout(SEVEN)).report
        uuids = [instance.uuids[0] for instance in report.gpus[0].instances]
        _SEVEN[hardware] = [path.read_text(encoding="utf-8") for path in files], uuids
    texts, uuids = _SEVEN[hardware]
    for path, text in zip(files, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return list(uuids)


class LiveNode:
    """An A100 with seven devices, or undivided GPUs, on a node with the GPU Operator."""

    def __init__(self, gpus: Gpus, *, divided: bool = True, role: str = "server") -> None:
        self.gpus = gpus
        self.machine: AMachine = gpus.machine
        self.api: KubernetesApi = self.machine.api
        self.uuids = gpus.uuids
        if divided:
            self.uuids = _make_seven(gpus)
        self.machine.join(role)
        self.api.change(nodes=[node(NAME, FIRST_BOOT, {}, {**RUNNING, "other": "true"})])
        self.mark = self.machine.path("/var/lib/mig-k8s/paused")
        self.machine.systemd.forget_calls()

    def apply(self, *wanted: GpuLayout, options: tuple[str, ...] = ()) -> Called:
        return call(self.machine, "apply", "--json", *options, stdin=layout(*wanted))

    def modes(self, *mode: bool, on_change: str = "refuse") -> Called:
        """What the mig-mode stage runs."""
        self.machine.desire(mig={"mode": mode, "onChange": on_change})
        return call(self.machine, "modes")

    def work(self) -> list[str]:
        """The pods that are not the GPU Operator's and have not been told to end."""
        pods = [item["metadata"] for item in self.api.listed("pods")]
        return sorted(pod["name"] for pod in pods if pod["namespace"] == "work" and "deletionTimestamp" not in pod)

    def hold(self, *held: tuple[str, int], phase: str = "Running", shared: bool = False) -> None:
        """Make pods, each with a device by its number in `uuids`, and write the kubelet's checkpoint."""
        pods = [pod(name, NAME, f"uid-{name}", phase) for name, _ in held]
        self.api.change(pods=pods)
        entries = [
            {
                "PodUID": f"uid-{name}",
                "ContainerName": "main",
                "ResourceName": "nvidia.com/gpu.shared" if shared else "nvidia.com/gpu",
                "DeviceIDs": {"-1": [f"{self.uuids[number]}{f'::{index}' if shared else ''}"]},
            }
            for index, (name, number) in enumerate(held)
        ]
        checkpoint = {"Data": {"PodDeviceEntries": entries, "RegisteredDevices": {}}, "Checksum": 1}
        self.machine.write(CHECKPOINT, json.dumps(checkpoint))
