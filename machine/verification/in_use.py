"""The devices that pods of users hold: by the record of each node's kubelet, and the node's own list of devices."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from machine.documents.verification_report import ProvenDevice
from machine.gpu.nvidia_smi import NvidiaSmi, listed_gpus
from machine.host.console import one_line
from machine.host.errors import GpuError, NodeError
from machine.kubernetes import device_record
from machine.kubernetes.device_record import Allocation
from machine.kubernetes.gpu_clients import DEVICE_PLUGIN
from machine.kubernetes.kubectl import Kubectl

_READ_THERE = f"nvidia-smi -L; echo; cat {device_record.PATH}"
"""Runs in the device plugin's container, which sees every GPU of its node and has the kubelet's folder at its place."""
Listed = dict[str, tuple[str | None, str]]
"""UUID of a device -> its profile, None for a whole GPU, and the UUID of its GPU."""


@dataclass
class InUse:
    """What was seen at the last look: `held` devices, what the nodes concerned list, and why one told nothing."""

    smi: NvidiaSmi
    kubectl: Kubectl
    operator_namespace: str
    own_namespace: str
    held: tuple[ProvenDevice, ...] = ()
    listed: dict[str, Listed] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)

    def look(self, nodes: Iterable[str]) -> None:
        """Ask the nodes on which a user's pod has requested a device. Raises RefusedError, AwayError."""
        by_node: dict[str, dict[str, str]] = {}
        for pod in self._pods():
            meta, node = pod["metadata"], pod["spec"]["nodeName"]
            if meta["namespace"] != self.own_namespace and _requests(pod):
                by_node.setdefault(node, {})[meta["uid"]] = f"{meta['namespace']}/{meta['name']}"
        held: list[ProvenDevice] = []
        self.listed, self.troubles = {}, {}
        for node in nodes:
            if users := by_node.get(node):
                try:
                    listed, record = self._told_by(node)
                except (GpuError, NodeError) as error:  # also a kubelet that the API server does not reach
                    self.troubles[node] = str(error)
                    continue
                self.listed[node] = listed
                given = ((each, device) for each in record if each.pod_uid in users for device in each.ids)
                # Containers of one pod may pass a device on, and are in the record with it each.
                for uid, resource, device in dict.fromkeys((each.pod_uid, each.resource, d) for each, d in given):
                    uuid = device_record.uuid_of(device)
                    profile, gpu = listed.get(uuid, (None, None))
                    proof = f"in use by {users[uid]}"
                    held.append(ProvenDevice(node, users[uid], profile, uuid, gpu, resource, proof))
        self.held = tuple(held)

    def requested(self) -> Counter[tuple[str, str]]:
        """How many of each resource of each node pods have been given, those of the verification too."""
        total: Counter[tuple[str, str]] = Counter()
        for pod in self._pods():
            for resource, count in _requests(pod).items():
                total[pod["spec"]["nodeName"], resource] += count
        return total

    def _pods(self) -> list[dict[str, Any]]:
        """The pods that have a node and have not ended."""
        alive = "--field-selector=spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
        return self.kubectl.get("pods", "--all-namespaces", alive)

    def _told_by(self, node: str) -> tuple[Listed, tuple[Allocation, ...]]:
        """What a node lists, and the record of its kubelet."""
        machine = self.smi.machine
        if node == machine.node_name():
            listing, record = self.smi.say("-L"), device_record.read(machine)
        else:
            place = ("-n", self.operator_namespace)
            of_node = f"--field-selector=spec.nodeName={node}"
            plugins = self.kubectl.get("pods", *place, "-l", f"app={DEVICE_PLUGIN}", of_node)
            if not plugins:
                raise NodeError("no device plugin runs there, which could tell who holds what")
            name = plugins[0]["metadata"]["name"]
            told = self.kubectl.read("exec", *place, name, "-c", "nvidia-device-plugin", "--", "sh", "-c", _READ_THERE)
            listing, _, checkpoint = told.partition("\n{")
            record = device_record.understood("{" + checkpoint)
        listed = listed_devices(listing)
        if not listed:
            raise GpuError(f"its nvidia-smi lists no GPU: {one_line(listing)}")
        return listed, record


def listed_devices(text: str) -> Listed:
    """The GPUs and MIG devices that `nvidia-smi -L` lists."""
    listed: Listed = {}
    for gpu in listed_gpus(text):
        listed[gpu.uuid] = None, gpu.uuid
        listed |= {device.uuid: (device.profile, gpu.uuid) for device in gpu.devices}
    return listed


def _requests(pod: dict[str, Any]) -> Counter[str]:
    """How many of each of NVIDIA's resources a pod has asked for."""
    wanted: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        for resource, count in container.get("resources", {}).get("limits", {}).items():
            if resource.startswith("nvidia.com/"):
                wanted[resource] += int(count)
    return wanted
