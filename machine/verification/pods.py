"""The pod that proves a device: it takes one, tells what it sees, computes on it, and keeps it until all have told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from machine.documents.expectations import ExpectedDevice, ExpectedNode

COMPUTE = "mig-verify: compute"
"""Begins the last line of a pod's log: `mig-verify: compute passed|failed|absent`."""
SCRIPT = f"""nvidia-smi -L
if [ -x /cuda-samples/vectorAdd ]; then
  if /cuda-samples/vectorAdd; then echo '{COMPUTE} passed'; else echo '{COMPUTE} failed'; fi
else echo '{COMPUTE} absent'; fi
exec sleep {{seconds}}"""
"""Without the sleep two pods could be given the same device, one after the other."""


@dataclass(frozen=True)
class Pod:
    """A pod for one device of a node."""

    node: str
    name: str
    device: ExpectedDevice

    def one_more(self) -> "Pod":
        """A second pod for a device of the same kind."""
        return replace(self, name=f"{self.name}-more")

    def manifest(self, image: str, seconds: int) -> dict[str, Any]:
        """It passes Pod Security `restricted`, and ends by itself after `seconds` if nobody deletes it."""
        container = {
            "name": "device",
            "image": image,
            "command": ["sh", "-c", SCRIPT.format(seconds=seconds)],
            "resources": {"limits": {self.device.resource: 1}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/managed-by": "mig-verify"}},
            "spec": {
                "runtimeClassName": "nvidia",
                "restartPolicy": "Never",
                "nodeSelector": {"kubernetes.io/hostname": self.node},
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
                "containers": [container],
            },
        }


def pods_of(nodes: Iterable[ExpectedNode]) -> Iterator[Pod]:
    """One pod for each device."""
    for node in nodes:
        for device in node.devices:
            yield Pod(node.name, device.pod, device)
