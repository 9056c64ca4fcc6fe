"""Devices proven by pods: one pod for each, all at the same time, tells what it sees and computes on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from machine.documents.verification_report import Check, SeenDevice
from machine.gpu.nvidia_smi import warnings_in
from machine.verification import pod_trouble
from machine.verification.devices import device_checks, seen_by
from machine.verification.pod_logs import PodLogs
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import Pod
from machine.verification.polling import Polling


@dataclass(frozen=True)
class Proof:
    """What became of the devices that were to be proven. `complete`: something is known of each."""

    checks: tuple[Check, ...]
    devices: tuple[SeenDevice, ...]
    complete: bool
    warnings: tuple[str, ...] = ()
    """What nvidia-smi warned of in the pods."""


@dataclass(frozen=True)
class ProofByPods:
    """The proof. Its pods keep their devices afterwards: that a device is held is part of what comes next."""

    namespace: PodNamespace
    polling: Polling
    image: str
    seconds: int
    """After which a pod that nobody deletes ends by itself."""

    def prove(self, pods: Sequence[Pod], deadline: float) -> Proof:
        """Prove the devices of these pods by the deadline, a time of the clock's. Raises RefusedError, AwayError."""
        self.namespace.create(pod.manifest(self.image, self.seconds) for pod in pods)
        self.polling.progress.tell(f"one pod per device: {len(pods)}")
        logs = PodLogs(self.namespace, pods, self.polling.clock, self.polling.progress)
        self.polling.until(logs.look, deadline)
        silent = logs.waiting()
        told = [(pod, logs.told[pod.name]) for pod in pods if pod not in silent]
        checks = [self._silent(pod, logs.why_silent(pod)) for pod in silent]
        checks += [check for pod, log in told for check in device_checks(pod, log)]
        warnings = warnings_in("\n".join(log for _, log in told))
        return Proof(tuple(checks), tuple(seen_by(pod, log) for pod, log in told), not silent, warnings)

    def _silent(self, pod: Pod, words: str) -> Check:
        return Check.of(pod.name, pod.node, "runs", words, pod_trouble.remedy(words, self.image))
