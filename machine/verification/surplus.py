"""The proof that there are no more devices than expected: while all are held, a pod more of each kind stays Pending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from machine.documents.verification_report import Check
from machine.verification import pod_trouble
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import Pod
from machine.verification.polling import Polling

DECIDE_SECONDS = 30
"""How long the scheduler may take to say that there is no device for a pod."""
_REMEDY = "More devices are offered than expected, or the pod of one has ended too soon: `kubectl describe node`."


@dataclass(frozen=True)
class Surplus:
    """One pod more for each resource of each node. `image` and `seconds` are those of the other pods."""

    namespace: PodNamespace
    polling: Polling
    image: str
    seconds: int
    decide_seconds: float = DECIDE_SECONDS

    def checks(self, pods: Sequence[Pod]) -> list[Check]:
        """Try one more of each kind of these pods, which hold their devices. Raises RefusedError, AwayError."""
        kinds = {(pod.node, pod.device.resource): pod for pod in pods}
        surplus = [pod.one_more() for pod in kinds.values()]
        self.namespace.create(pod.manifest(self.image, self.seconds) for pod in surplus)
        states: dict[str, str] = {}

        def is_decided() -> bool:
            seen = self.namespace.pods()
            states.update({pod.name: _state(seen.get(pod.name)) for pod in surplus})
            decided = all(states.values())
            if not decided:
                self.polling.progress.tell("one pod more than devices has to stay Pending")
            return decided

        self.polling.until(is_decided, self.polling.clock.monotonic() + self.decide_seconds)
        return [
            Check.of(
                f"one more {pod.device.resource}",
                pod.node,
                "Pending",
                states[pod.name] or "the scheduler has not decided",
                _REMEDY,
            )
            for pod in surplus
        ]


def _state(pod: Mapping[str, Any] | None) -> str:
    """Pending once the scheduler has found no device; empty while it has not decided."""
    if pod is None:
        return ""
    phase = pod["status"].get("phase")
    if pod["spec"].get("nodeName") or phase != "Pending":
        return f"{phase}: it was given a device"
    return "Pending" if pod_trouble.lacks_a_device(pod_trouble.trouble(pod)) else ""
