"""Why a pod does not run, and what to do about it."""

from collections.abc import Mapping
from typing import Any

_ON_ITS_WAY = ("", "ContainerCreating", "PodInitializing")
_RUNTIME = ("RunContainerError", "CreateContainerError", "StartError")


def trouble(pod: Mapping[str, Any]) -> str:
    """Why a pod does not run, in a few words after its name; empty when it runs or is on its way."""
    name, status = pod["metadata"]["name"], pod["status"]
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{name}: {condition.get('message', condition.get('reason', 'not scheduled'))}"
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        reason = str(waiting.get("reason", ""))
        if reason not in _ON_ITS_WAY:
            return f"{name}: {reason}: {waiting.get('message', '')}".rstrip(": ")
    if status.get("phase") in ("Failed", "Succeeded"):
        containers = status.get("containerStatuses", [])
        ended = [each.get("state", {}).get("terminated", {}).get("exitCode") for each in containers]
        return f"{name}: {status.get('reason') or 'ended'} {ended} {status.get('message', '')}".rstrip()
    return ""


def gave_way(name: str, pod: Mapping[str, Any] | None) -> str:
    """Why a pod that was made has no device any more, or was refused it by the kubelet; empty when it may have it."""
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return f"{name}: it gave way to another pod"
    status = pod["status"]
    targets = [condition for condition in status.get("conditions", []) if condition["type"] == "DisruptionTarget"]
    if status.get("reason") == "UnexpectedAdmissionError" or any(each["status"] == "True" for each in targets):
        return trouble(pod) or f"{name}: it gives way to another pod"
    return ""


def lacks_a_device(words: str) -> bool:
    """Whether the scheduler found no free device on the node."""
    return "Insufficient" in words


def remedy(words: str, image: str) -> str:
    """What to do about a trouble of a pod with this image."""
    if "ImagePull" in words or "ErrImage" in words or "InvalidImageName" in words:
        return f"Can the node pull {image}? Set verify.image or RKE2's registries.yaml; can it reach the registry?"
    if lacks_a_device(words):
        return (
            "The kubelet's record has no pod with the device: delete a pod that requests one (`kubectl describe node`)."
        )
    if "unresolvable CDI devices" in words:
        return (
            "No CDI specification on the node has the device: delete the device plugin's pod, which writes it anew."
            " A GPU in MIG mode is in none (strategy none)."
        )
    if any(reason in words for reason in _RUNTIME):
        return "Runtime class nvidia starts no container: was the toolkit there when RKE2 started (`mig-k8s status`)?"
    return "`kubectl describe pod` while the verification runs tells more."
