"""The proof that a pod sees only what it was given: one on each node requests nothing and asks for every device."""

import re
from collections import Counter
from collections.abc import Sequence

from machine.documents.expectations import ExpectedNode
from machine.documents.verification_report import Check
from machine.gpu.nvidia_smi import listed_gpus
from machine.verification import pod_trouble
from machine.verification.node_checks import counted
from machine.verification.pod_logs import PodLogs
from machine.verification.pod_namespace import PodNamespace
from machine.verification.pods import COMPUTE, PodWithoutRequest, pods_without_request
from machine.verification.polling import Polling

_NOTHING = "no device"
_EVERYTHING = "every device"
_SETTING = "accept-nvidia-visible-devices-envvar-when-unprivileged"
_CONFIGURATION = "/etc/nvidia-container-runtime/config.toml"
_LEAST_SECONDS = 30
"""How long these pods may take at least, however late the others have told."""


class Isolation:
    """The proof. Its pods are made with it, so that they run beside those with devices.

    `is_open`: devices are for whoever names them. Then a node whose GPUs are all in MIG mode without instances proves
    nothing: NVIDIA's runtime gives such a GPU to who names it, and does not count it to "all" (toolkit 1.20.2).
    """

    def __init__(
        self, namespace: PodNamespace, polling: Polling, nodes: Sequence[ExpectedNode], *, is_open: bool
    ) -> None:
        """Make the pods. Raises RefusedError, AwayError."""
        if is_open:
            nodes = [node for node in nodes if any(device.compute for device in node.devices)]
        self._is_open, self._image, self._polling = is_open, namespace.image, polling
        self._nodes = {node.name: node for node in nodes}
        self._pods = pods_without_request(nodes)
        self._logs = PodLogs(namespace, self._pods, polling)

    def checks(self, deadline: float) -> list[Check]:
        """One check for each node with devices, by this time of the clock. Raises RefusedError, AwayError."""
        if not self._pods:
            return []
        self._polling.progress.tell("a pod that requests nothing has to see " + self._expected())
        self._polling.until(self._logs.look, max(deadline, self._polling.clock.monotonic() + _LEAST_SECONDS))
        silent = self._logs.waiting()
        return [
            self._silent(pod, self._logs.why_silent(pod))
            if pod in silent
            else self._told(pod, self._nodes[pod.node], self._logs.told[pod.name])
            for pod in self._pods
        ]

    def _expected(self) -> str:
        return _EVERYTHING if self._is_open else _NOTHING

    def _silent(self, pod: PodWithoutRequest, words: str) -> Check:
        return Check.of("isolation", pod.node, self._expected(), words, pod_trouble.remedy(words, self._image))

    def _told(self, pod: PodWithoutRequest, node: ExpectedNode, log: str) -> Check:
        stage = "the toolkit stage does that (`sudo mig-k8s converge` there)"
        if self._is_open:
            remedy = f"The stack says toolkit.deviceListFromEnvironment: {_SETTING} must be true in {_CONFIGURATION}"
            return Check.of("isolation", pod.node, _EVERYTHING, _seen(node, log), f"{remedy}; {stage}.")
        remedy = (
            f"Any pod gets every device of the node by NVIDIA_VISIBLE_DEVICES=all: write {_SETTING} = false at the top"
            f" of {_CONFIGURATION} there; {stage}. Pods that need the old behaviour: toolkit.deviceListFromEnvironment."
        )
        return Check.of("isolation", pod.node, _NOTHING, _seen(node, log), remedy)


def _seen(node: ExpectedNode, log: str) -> str:
    """What a pod saw, by its log: `every device`, which of them, or `no device`."""
    gpus = listed_gpus(log)
    if not gpus:
        computes = re.search(rf"^{COMPUTE} passed$", log, re.MULTILINE)
        return "a device that CUDA computes on" if computes else _NOTHING
    seen = Counter(f"MIG device {device.profile}" for gpu in gpus for device in gpu.devices)
    wanted = Counter(f"MIG device {device.profile}" for device in node.devices if device.profile)
    if seen == wanted:
        return _EVERYTHING
    return counted(seen) if seen else f"{len(gpus)} GPUs without MIG devices"
