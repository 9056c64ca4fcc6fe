"""The namespace in which a verification's pods run, and their PriorityClass: made for them, and deleted afterwards."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from machine.host.errors import NodeError
from machine.kubernetes.kubectl import Kubectl, RefusedError
from machine.verification.pods import LOWEST_PRIORITY, PRIORITY_CLASS, Pod, PodWithoutRequest

DELETE_SECONDS = 120
"""How long Kubernetes may take to delete it."""
ADMISSION_SECONDS = 20
"""How long admission may take to hear of a new PriorityClass."""


@dataclass(frozen=True)
class PodNamespace:
    """The namespace. Its methods raise RefusedError and AwayError.

    `image` is that of its pods; one that nobody deletes ends by itself after `seconds`.
    """

    kubectl: Kubectl
    name: str
    image: str
    seconds: int = 0

    def make(self) -> None:
        """Make it anew: a run that was killed leaves its pods, and they hold devices."""
        self.delete()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}}
        priority = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": PRIORITY_CLASS},
            "value": LOWEST_PRIORITY,
            "preemptionPolicy": "Never",
            "description": "Of mig-k8s verify: makes way for every pod.",
        }
        self._create([namespace, priority])
        if not self.kubectl.machine.clock.wait(self._is_admitted, ADMISSION_SECONDS):
            raise NodeError(f"the API server does not know PriorityClass {PRIORITY_CLASS}, which was just made")

    def create(self, pods: Iterable[Pod | PodWithoutRequest]) -> None:
        """Create pods, all at once."""
        self._create([pod.manifest(self.image, self.seconds) for pod in pods], "-n", self.name)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Name → pod."""
        return {pod["metadata"]["name"]: pod for pod in self.kubectl.get("pods", "-n", self.name)}

    def log(self, pod: str) -> str:
        """What a pod has said so far."""
        return self.kubectl.read("logs", "-n", self.name, pod)

    def delete_pods(self, *names: str) -> None:
        """Begin to delete pods, all of them without names: the namespace alone would let them hold devices for 5 s."""
        self.kubectl.change(
            "delete", "pods", *(names or ("--all",)), "-n", self.name, "--ignore-not-found", "--wait=false"
        )

    def delete(self) -> None:
        """Delete both, if they are there, and wait until they are gone."""
        bound = f"--timeout={DELETE_SECONDS}s"
        self.kubectl.change(
            "delete", f"namespace/{self.name}", f"priorityclass/{PRIORITY_CLASS}", "--ignore-not-found", "--wait=true",
            bound, seconds=DELETE_SECONDS + 30,
        )  # fmt: skip

    def _is_admitted(self) -> bool:
        """Whether a pod of the class would be taken."""
        try:
            self._create([PodWithoutRequest("", "probe").manifest(self.image, 1)], "-n", self.name, "--dry-run=server")
        except RefusedError as error:
            if "no PriorityClass" not in str(error):
                raise
            return False
        return True

    def _create(self, manifests: list[dict[str, Any]], *arguments: str) -> None:
        body = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl.change("create", *arguments, "-f", "-", stdin=json.dumps(body))
