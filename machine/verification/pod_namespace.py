"""The namespace in which a verification's pods run, and their PriorityClass: made for them, and deleted afterwards."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from machine.host.errors import NodeError
from machine.kubernetes.kubectl import AWAY_SECONDS, Kubectl, RefusedError
from machine.verification.pods import LOWEST_PRIORITY, PRIORITY_CLASS, ImagePull, Pod, PodWithoutRequest

DELETE_SECONDS = 120
"""How long Kubernetes may take to delete it."""
ADMISSION_SECONDS = 60
"""How long the control plane may take until it lets pods of a new PriorityClass into a new namespace: after a reboot of
the only server its controllers start later than the API server."""
_NOT_YET = ("no PriorityClass", "error looking up service account")
"""What the API server says until admission has heard of the class, and until the namespace has its service account."""


@dataclass(frozen=True)
class PodNamespace:
    """The namespace. Its methods raise RefusedError and AwayError; changes outlast an API server that is away for 60 s.

    `image` is that of its pods; a pod that nobody deletes ends by itself after `seconds`.
    """

    kubectl: Kubectl
    name: str
    image: str
    seconds: int

    def make(self) -> None:
        """Make it anew: a run that was killed leaves its pods, and they hold devices."""
        self._delete(*self._made, wait=True)
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
        self.kubectl.create([namespace, priority])
        refusal = ""

        def are_admitted() -> bool:
            nonlocal refusal
            refusal = self._refusal()
            return not refusal

        if not self.kubectl.machine.clock.wait(are_admitted, ADMISSION_SECONDS):
            raise NodeError(
                f"the API server lets no pod into namespace {self.name}, {ADMISSION_SECONDS} s after it was made:"
                f" {refusal}. The control plane has to come up first: kubectl get pods -n kube-system"
            )

    def create(self, pods: Iterable[Pod | PodWithoutRequest | ImagePull]) -> None:
        """Create pods, all at once."""
        self.kubectl.create([pod.manifest(self.image, self.seconds) for pod in pods], "-n", self.name)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Name → pod."""
        return {pod["metadata"]["name"]: pod for pod in self.kubectl.get("pods", "-n", self.name)}

    def log(self, pod: str) -> str:
        """What a pod has said so far."""
        return self.kubectl.read("logs", "-n", self.name, pod)

    def delete_pod(self, name: str) -> None:
        """Begin to delete a pod."""
        self._delete("pods", name, "-n", self.name, wait=False)

    def end(self) -> None:
        """Delete the pods, wait until they have given their devices back, and begin to delete the namespace.

        For the namespace nobody has to wait: Kubernetes begins with its content only after 5 s.
        """
        self._delete("pods", "--all", "-n", self.name, wait=True)
        self._delete(*self._made, wait=False)

    @property
    def _made(self) -> tuple[str, str]:
        return f"namespace/{self.name}", f"priorityclass/{PRIORITY_CLASS}"

    def _delete(self, *what: str, wait: bool) -> None:
        words = ("delete", *what, "--ignore-not-found", f"--wait={str(wait).lower()}")
        words += (f"--timeout={DELETE_SECONDS}s",) if wait else ()
        self.kubectl.repeat(*words, away_seconds=AWAY_SECONDS, seconds=DELETE_SECONDS + 30)

    def _refusal(self) -> str:
        """Why a pod of the class would not be taken yet; "" if it would."""
        try:
            self.kubectl.create([ImagePull("probe").manifest(self.image, 1)], "-n", self.name, "--dry-run=server")
        except RefusedError as error:
            if not any(words in str(error) for words in _NOT_YET):
                raise
            return str(error)
        return ""
