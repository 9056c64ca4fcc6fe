"""The proof that there are no more devices than expected: while all are held, a pod more of each kind stays Pending."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from machine.documents.verification_report import Check
from machine.verification import pod_trouble
from machine.verification.in_use import InUse
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import Pod
from machine.verification.polling import Polling

DECIDE_SECONDS = 30
"""How long the scheduler may take to say that there is no device for a pod."""
_REMEDY = "More devices are offered than expected: `kubectl describe node`."


@dataclass(frozen=True)
class Surplus:
    """One pod more for each resource of each node."""

    namespace: PodNamespace
    polling: Polling
    in_use: InUse

    def checks(self, pods: Sequence[Pod]) -> list[Check]:
        """Try one more of each kind of these pods, which hold their devices. Raises RefusedError, AwayError.

        A device that somebody gives back meanwhile is for that pod: then it is not a surplus, and the next one is
        tried.
        """
        devices = Counter(pod.kind for pod in pods)
        surplus = {pod.kind: pod for pod in pods}
        states: dict[tuple[str, str], str | None] = dict.fromkeys(surplus)

        def is_decided() -> bool:
            again = [kind for kind, state in states.items() if state is None]
            surplus.update({kind: surplus[kind].one_more() for kind in again})
            if again:
                self.namespace.create(surplus[kind] for kind in again)
            seen, requested = self.namespace.pods(), self.in_use.requested()
            for kind, pod in surplus.items():
                states[kind] = _state(pod.name, seen.get(pod.name), is_surplus=requested[kind] > devices[kind])
            decided = all(states.values())
            if not decided:
                self.polling.progress.tell("one pod more than devices has to stay Pending")
            return decided

        self.polling.until(is_decided, self.polling.clock.monotonic() + DECIDE_SECONDS)
        return [
            Check.of(f"one more {resource}", node, "Pending", state or "the scheduler has not decided", _REMEDY)
            for (node, resource), state in states.items()
        ]


def _state(name: str, pod: Mapping[str, Any] | None, *, is_surplus: bool) -> str | None:
    """Pending once the scheduler has found no device; empty while it has not decided; None for a pod that says nothing:
    it gave way, or was given a device that somebody had given back.
    """
    if pod is None or pod_trouble.gave_way(name, pod):
        return None
    if pod["spec"].get("nodeName"):
        return "it was given a device" if is_surplus else None
    return "Pending" if pod_trouble.lacks_a_device(pod_trouble.trouble(pod)) else ""
