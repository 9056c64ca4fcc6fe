"""What the pods of a verification tell, gathered look by look."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from machine.host.clock import Clock
from machine.host.errors import NodeError
from machine.kubernetes.kubectl import AwayError
from machine.verification import pod_trouble
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import COMPUTE
from machine.verification.progress import Progress

STUCK_SECONDS = 90
"""How long pods may show nothing but errors that seldom heal, such as an image that cannot be pulled."""


class Named(Protocol):
    """A pod."""

    @property
    def name(self) -> str:
        """Its name in Kubernetes."""


_Pod = TypeVar("_Pod", bound=Named)


class PodLogs(Generic[_Pod]):
    """The logs of these pods. `told`: name → log of each that has told its device to the end."""

    def __init__(
        self,
        namespace: PodNamespace,
        pods: Sequence[_Pod],
        clock: Clock,
        progress: Progress,
        *,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        self.told: dict[str, str] = {}
        self._namespace, self._pods, self._clock, self._progress = namespace, pods, clock, progress
        self._troubles: dict[str, str] = {}
        self._unread: dict[str, str] = {}
        self._stuck_seconds, self._stuck_since = stuck_seconds, clock.monotonic()

    def look(self) -> bool:
        """Whether every pod has told, or those that have not are stuck. Raises AwayError, RefusedError."""
        try:
            seen = self._namespace.pods()
        except AwayError:
            self._stuck_since = self._clock.monotonic()  # nothing is known of them meanwhile
            raise
        self._troubles = {}
        for pod in self.waiting():
            if pod.name in seen:
                self._troubles[pod.name] = pod_trouble.trouble(seen[pod.name])
                if seen[pod.name]["status"].get("phase") in ("Running", "Succeeded", "Failed"):
                    self._read(pod.name)
        waiting = self.waiting()
        if not all(self._troubles.get(pod.name) for pod in waiting):
            self._stuck_since = self._clock.monotonic()
        if waiting:
            reasons = [words for pod in waiting if (words := self._troubles.get(pod.name))]
            self._progress.tell(f"waiting for {'; '.join(reasons) or ', '.join(pod.name for pod in waiting)}")
        return not waiting or self._clock.monotonic() - self._stuck_since > self._stuck_seconds

    def waiting(self) -> list[_Pod]:
        """The pods that have not told their device."""
        return [pod for pod in self._pods if pod.name not in self.told]

    def why_silent(self, pod: _Pod) -> str:
        """What the last look showed of a pod that has not told."""
        return self._troubles.get(pod.name) or f"{pod.name}: {self._unread.get(pod.name, 'nothing in its log')}"

    def _read(self, name: str) -> None:
        """Read a log. That this fails is no end: the container may be gone again, or its node away for a moment."""
        try:
            log = self._namespace.log(name)
        except NodeError as error:
            self._unread[name] = f"its log cannot be read: {error}"
            self._progress.note(str(error))
            return
        self._unread.pop(name, None)
        if COMPUTE in log:
            self.told[name] = log
