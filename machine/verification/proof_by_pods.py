"""Devices proven: a free one by a pod that sees it and computes on it, one in use by the kubelet's record.

All pods hold their devices at the same time. One for which there is no device waits, while as many are in use.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from machine.documents.verification_report import Check, ProvenDevice
from machine.gpu.nvidia_smi import warnings_in
from machine.verification import pod_trouble
from machine.verification.devices import device_checks, in_use_checks, overfull, seen_by
from machine.verification.in_use import InUse
from machine.verification.pod_logs import PodLogs
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import Pod
from machine.verification.polling import Polling


@dataclass(frozen=True)
class Proof:
    """What became of the devices that were to be proven. `complete`: something is known of each."""

    checks: tuple[Check, ...]
    devices: tuple[ProvenDevice, ...]
    complete: bool
    warnings: tuple[str, ...] = ()
    """What nvidia-smi warned of in the pods."""


@dataclass(frozen=True)
class ProofByPods:
    """The proof. Its pods keep their devices afterwards: that a device is held is part of what comes next."""

    namespace: PodNamespace
    polling: Polling
    in_use: InUse

    def prove(self, pods: Sequence[Pod], deadline: float) -> Proof:
        """Prove the devices of these pods by the deadline, a time of the clock's. Raises RefusedError, AwayError."""
        logs = PodLogs(self.namespace, pods, self.polling)
        self.polling.progress.tell(f"one pod per device: {len(pods)}")
        nodes = dict.fromkeys(pod.node for pod in pods)

        def is_proven() -> bool:
            logs.look()
            self.in_use.look(nodes)
            shared = overfull(self._devices(pods, logs), pods)
            changing = any(held.uuid in shared for held in self.in_use.held)  # or the looks were a moment apart
            return logs.is_stuck or not (changing or self._unproven(logs))

        self.polling.until(is_proven, deadline)
        told = [(pod, logs.told[pod.name]) for pod in pods if pod.name in logs.told]
        unproven = self._unproven(logs)
        checks = [self._silent(pod, logs.why_silent(pod)) for pod in unproven]
        checks += [check for pod, log in told for check in device_checks(pod, log)]
        devices = self._devices(pods, logs)
        checks += in_use_checks(pods, devices)
        warnings = warnings_in("\n".join(log for _, log in told))
        return Proof(tuple(checks), devices, not unproven, warnings)

    def _unproven(self, logs: PodLogs[Pod]) -> list[Pod]:
        """The pods that have not told and for whose device nobody else accounts."""
        in_use = Counter(held.kind for held in self.in_use.held)
        lacking = [pod.name for pod in logs.lacking()]
        unproven = []
        for pod in logs.waiting():
            if pod.name in lacking and in_use[pod.kind]:
                in_use[pod.kind] -= 1
            else:
                unproven.append(pod)
        return unproven

    def _devices(self, pods: Sequence[Pod], logs: PodLogs[Pod]) -> tuple[ProvenDevice, ...]:
        told = (seen_by(pod, logs.told[pod.name]) for pod in pods if pod.name in logs.told)
        return (*told, *self.in_use.held)

    def _silent(self, pod: Pod, words: str) -> Check:
        words = f"{words}; {trouble}" if (trouble := self.in_use.troubles.get(pod.node)) else words
        return Check.of(pod.name, pod.node, "runs", words, pod_trouble.remedy(words, self.namespace.image))
