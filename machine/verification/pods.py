"""The pods of a verification: one takes a device, tells what it sees and computes on it; one requests nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from machine.documents.expectations import ExpectedDevice, ExpectedNode

PRIORITY_CLASS = "mig-k8s-verify"
"""The class of these pods, below every other: they make way for anybody's pod at once, and take nobody's device."""
LOWEST_PRIORITY = -(2**31)
COMPUTE = "mig-verify: compute"
"""Begins the last line of a pod's log: `mig-verify: compute passed|failed|absent`."""
SCRIPT = f"""nvidia-smi -L
if [ -x /cuda-samples/vectorAdd ]; then
  if /cuda-samples/vectorAdd; then echo '{COMPUTE} passed'; else echo '{COMPUTE} failed'; fi
else echo '{COMPUTE} absent'; fi
trap exit TERM
sleep {{seconds}} &
wait"""
"""Without the sleep two pods could be given the same device, one after the other. The first process of a container
ignores a signal that it does not trap, and Kubernetes would wait until it kills it."""


@dataclass(frozen=True)
class Pod:
    """A pod for one device of a node."""

    node: str
    name: str
    device: ExpectedDevice

    @property
    def kind(self) -> tuple[str, str]:
        """What it needs one of: a resource of its node."""
        return self.node, self.device.resource

    def one_more(self) -> "Pod":
        """Another pod for a device of the same kind."""
        return replace(self, name=f"{self.name}-more")

    def manifest(self, image: str, seconds: int) -> dict[str, Any]:
        """The pod for the API: it passes Pod Security `restricted`, and ends after `seconds` if nobody deletes it."""
        limits = {"limits": {self.device.resource: 1}}
        return _manifest(self, image, seconds, {"resources": limits}, _BY_NVIDIA)


@dataclass(frozen=True)
class PodWithoutRequest:
    """A pod that requests nothing, and asks the container runtime for every device of its node."""

    node: str
    name: str

    def manifest(self, image: str, seconds: int) -> dict[str, Any]:
        """The manifest, as of a pod with a device. The capabilities say which files of the driver a device brings."""
        asked = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
        variables = [{"name": name, "value": value} for name, value in asked.items()]
        return _manifest(self, image, seconds, {"env": variables}, _BY_NVIDIA)


@dataclass(frozen=True)
class ImagePull:
    """A pod for which a node pulls the image before its devices are there; it does nothing.

    It names no runtime class: there may be none yet.
    """

    node: str

    @property
    def name(self) -> str:
        """The pod's name."""
        return f"image-pull-{self.node}"

    def manifest(self, image: str, seconds: int) -> dict[str, Any]:
        """As of a pod with a device."""
        return _manifest(self, image, seconds, {"command": ["true"]})


_BY_NVIDIA = {"runtimeClassName": "nvidia"}


def _manifest(
    pod: Pod | PodWithoutRequest | ImagePull,
    image: str,
    seconds: int,
    container: Mapping[str, object],
    spec: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    only = {
        "name": "device",
        "image": image,
        "command": ["sh", "-c", SCRIPT.format(seconds=seconds)],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod.name, "labels": {"app.kubernetes.io/managed-by": "mig-verify"}},
        "spec": {
            **spec,
            "priorityClassName": PRIORITY_CLASS,
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/hostname": pod.node},
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "activeDeadlineSeconds": seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "runAsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [only],
        },
    }


def pods_without_request(nodes: Sequence[ExpectedNode]) -> list[PodWithoutRequest]:
    """One pod that requests nothing, for each node with devices."""
    with_devices = (node for node in nodes if node.devices)
    return [PodWithoutRequest(node.name, f"no-request-{number}") for number, node in enumerate(with_devices)]


def pods_of(nodes: Iterable[ExpectedNode]) -> Iterator[Pod]:
    """One pod for each device."""
    for node in nodes:
        for device in node.devices:
            yield Pod(node.name, device.pod, device)
