"""The namespace in which a verification's pods run: made for them, and deleted with everything in it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from machine.kubernetes.kubectl import Kubectl

DELETE_SECONDS = 120
"""How long Kubernetes may take to delete it."""


@dataclass(frozen=True)
class PodNamespace:
    """The namespace. Its methods raise RefusedError and AwayError."""

    kubectl: Kubectl
    name: str
    delete_seconds: int = DELETE_SECONDS

    def make(self) -> None:
        """Make it anew: a run that was killed leaves its pods, and they hold devices."""
        self.delete()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self._create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}})

    def create(self, manifests: Iterable[dict[str, Any]]) -> None:
        """Create pods, all at once."""
        self._create({"apiVersion": "v1", "kind": "List", "items": list(manifests)}, "-n", self.name)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Name → pod."""
        return {pod["metadata"]["name"]: pod for pod in self.kubectl.get("pods", "-n", self.name)}

    def log(self, pod: str) -> str:
        """What a pod has said so far."""
        return self.kubectl.read("logs", "-n", self.name, pod)

    def delete_pods(self) -> None:
        """Begin to delete its pods: the namespace alone would let them hold their devices for another 5 s."""
        self.kubectl.change("delete", "pods", "--all", "-n", self.name, "--wait=false")

    def delete(self) -> None:
        """Delete it, if it is there, and wait until it is gone."""
        bound = f"--timeout={self.delete_seconds}s"
        self.kubectl.change(
            "delete", "namespace", self.name, "--ignore-not-found", "--wait=true", bound,
            seconds=self.delete_seconds + 30,
        )  # fmt: skip

    def _create(self, manifest: dict[str, Any], *arguments: str) -> None:
        self.kubectl.change("create", *arguments, "-f", "-", stdin=json.dumps(manifest))
