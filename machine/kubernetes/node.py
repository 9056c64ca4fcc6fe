"""This machine's Kubernetes node. What is done here needs no more rights than those of an agent's own kubelet."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from machine.host.console import say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import device_record
from machine.kubernetes.kubectl import AWAY_SECONDS, Kubectl
from machine.kubernetes.pods import Pod, has_ended

RKE2_UNITS = ("rke2-server.service", "rke2-agent.service")
END_SECONDS = 300
"""How long pods that were told to end may take."""


@dataclass(frozen=True)
class Node:
    """A node, by its name. Its methods raise NodeError when the API server refuses, or is away for too long."""

    kubectl: Kubectl
    name: str

    @classmethod
    def running(cls, machine: ThisMachine, *, away_seconds: float = AWAY_SECONDS) -> "Node | None":
        """The node of this machine, if RKE2 runs here and pods may hold devices."""
        if not machine.active_units(*RKE2_UNITS):
            return None
        kubectl = Kubectl.here(machine, away_seconds=away_seconds)
        if kubectl is None:
            say("RKE2 is starting and there is no kubeconfig yet, so there are no GPU clients to pause")
            return None
        return cls(kubectl, machine.desired_state().node.name)

    def labels(self) -> dict[str, str]:
        """The node's labels; none before it has registered."""
        found = self._found()
        return dict(found["metadata"].get("labels", {})) if found else {}

    def is_cordoned(self) -> bool:
        """Whether no pod is sent here any more."""
        return bool((self._found() or {}).get("spec", {}).get("unschedulable"))

    def is_well(self) -> bool:
        """Whether it has registered in this boot of its machine, and is Ready."""
        found, boot_id = self._found(), self.kubectl.machine.boot_id()
        return found is not None and is_ready(found) and found["status"]["nodeInfo"]["bootID"] == boot_id

    def label(self, *changes: str) -> None:
        """Change labels of the node: `KEY=VALUE` sets, `KEY-` removes."""
        self.kubectl.repeat("label", "node", self.name, "--overwrite", *changes)

    def pods(self, *selectors: str) -> list[dict[str, Any]]:
        """The pods of this node that have not ended, as the API has them."""
        here = f"--field-selector=spec.nodeName={self.name}"
        return [pod for pod in self.kubectl.get("pods", "--all-namespaces", *selectors, here) if not has_ended(pod)]

    def pods_of_users(self, own_namespaces: Container[str]) -> list[Pod]:
        """The pods of users: none of the cluster's namespaces, nor what DaemonSets or the kubelet make."""
        return sorted(
            Pod.of(pod)
            for pod in self.pods()
            if pod["metadata"]["namespace"] not in own_namespaces
            and all(owner["kind"] not in ("DaemonSet", "Node") for owner in pod["metadata"].get("ownerReferences", ()))
        )

    def holders(self) -> dict[str, tuple[Pod, ...]]:
        """UUID of a device -> the pods of this node that hold it, by the kubelet's own record."""
        pods = {pod["metadata"]["uid"]: Pod.of(pod) for pod in self.pods()}
        held: dict[str, tuple[Pod, ...]] = {}
        for allocation in device_record.read(self.kubectl.machine):
            if allocation.pod_uid in pods:
                for uuid in allocation.uuids:
                    held[uuid] = (*held.get(uuid, ()), pods[allocation.pod_uid])
        return held

    def _found(self) -> dict[str, Any] | None:
        # By name: an agent may read no other node, and so not the list of all.
        nodes = self.kubectl.get("nodes", f"--field-selector=metadata.name={self.name}")
        return nodes[0] if nodes else None

    def wait_for_end(self, is_meant: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait until no such pod is left on the node. Raises NodeError after END_SECONDS."""
        left: list[str] = []

        def have_ended() -> bool:
            left[:] = [pod["metadata"]["name"] for pod in self.pods() if is_meant(pod)]
            return not left

        if not self.kubectl.machine.clock.wait(have_ended, END_SECONDS):
            raise NodeError(f"{what} are still there after {END_SECONDS} s: {', '.join(left)}")


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a node is Ready by its object of the API server."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", ()))
