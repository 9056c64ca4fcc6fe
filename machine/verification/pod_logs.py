"""The pods of a verification and what they tell, gathered look by look; one that had to give way is made again."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from machine.host.errors import NodeError
from machine.kubernetes.kubectl import AwayError
from machine.verification import pod_trouble
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import COMPUTE, Pod, PodWithoutRequest
from machine.verification.polling import Polling

STUCK_SECONDS = 90
"""How long pods may show nothing but errors that seldom end by themselves, such as an image that cannot be pulled."""


_Pod = TypeVar("_Pod", Pod, PodWithoutRequest)


class PodLogs(Generic[_Pod]):
    """These pods, made at once, and their logs. `told`: name → log of each that has told its device to the end."""

    def __init__(self, namespace: PodNamespace, pods: Sequence[_Pod], polling: Polling) -> None:
        self.told: dict[str, str] = {}
        self._pods: Sequence[_Pod] = pods
        self._namespace, self._clock, self._progress = namespace, polling.clock, polling.progress
        self._troubles: dict[str, str] = {}
        self._gave_way: dict[str, str] = {}
        self._unread: dict[str, str] = {}
        self._stuck_since = math.inf  # counted from the first look, which may come long after
        if pods:
            namespace.create(pods)

    @property
    def is_stuck(self) -> bool:
        """Whether for long now every pod that has not told has shown an error."""
        return self._clock.monotonic() - self._stuck_since > STUCK_SECONDS

    def look(self) -> bool:
        """Whether every pod has told, or those that have not are stuck. Raises AwayError, RefusedError."""
        self._stuck_since = min(self._stuck_since, self._clock.monotonic())
        try:
            seen = self._namespace.pods()
        except AwayError:
            self._stuck_since = self._clock.monotonic()  # nothing is known of them meanwhile
            raise
        self._make_again(seen)
        self._troubles = {}
        for pod in self.waiting():
            if pod.name in seen:
                self._troubles[pod.name] = pod_trouble.trouble(seen[pod.name]) or self._gave_way.get(pod.name, "")
                if seen[pod.name]["status"].get("phase") in ("Running", "Succeeded", "Failed"):
                    self._read(pod.name)
        waiting = self.waiting()
        if not all(self._troubles.get(pod.name) for pod in waiting):
            self._stuck_since = self._clock.monotonic()
        if waiting:
            reasons = [words for pod in waiting if (words := self._troubles.get(pod.name))]
            self._progress.tell(f"waiting for {'; '.join(reasons) or ', '.join(pod.name for pod in waiting)}")
        return not waiting or self.is_stuck

    def waiting(self) -> list[_Pod]:
        """The pods that have not told their device."""
        return [pod for pod in self._pods if pod.name not in self.told]

    def lacking(self) -> list[_Pod]:
        """The waiting pods for which there was no device at the last look."""
        words = {pod.name: self._troubles.get(pod.name, "") for pod in self.waiting()}
        return [p for p in self.waiting() if p.name in self._gave_way or pod_trouble.lacks_a_device(words[p.name])]

    def why_silent(self, pod: _Pod) -> str:
        """What the last look showed of a pod that has not told."""
        return self._troubles.get(pod.name) or f"{pod.name}: {self._unread.get(pod.name, 'nothing in its log')}"

    def _make_again(self, seen: Mapping[str, Mapping[str, Any]]) -> None:
        """Whoever takes the device of a pod that told has it now: what the pod told does not count any more."""
        for pod in self._pods:
            if not (words := pod_trouble.gave_way(pod.name, seen.get(pod.name))):
                continue
            self.told.pop(pod.name, None)
            self._gave_way[pod.name] = words
            self._progress.note(words)
            if pod.name not in seen:
                self._namespace.create([pod])
            elif "deletionTimestamp" not in seen[pod.name]["metadata"]:
                self._namespace.delete_pod(pod.name)

    def _read(self, name: str) -> None:
        """Read a log. A failure is not final: the container may be gone again, or its node away for a moment."""
        try:
            log = self._namespace.log(name)
        except NodeError as error:
            self._unread[name] = f"its log cannot be read: {error}"
            self._progress.note(str(error))
            return
        self._unread.pop(name, None)
        if COMPUTE in log:
            self.told[name] = log
            self._gave_way.pop(name, None)
