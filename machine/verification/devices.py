"""The devices that pods saw: the right ones, each once, and those of this machine."""

import re
from collections import Counter
from collections.abc import Sequence

from machine.documents.verification_report import Check, SeenDevice
from machine.gpu.nvidia_smi import ListedGpu, listed_gpus
from machine.host.console import one_line
from machine.verification.pods import COMPUTE, Pod

_LOG = 400
"""How much of a log a check quotes."""
_NOT_INITIALIZED = "system not yet initialized"
"""CUDA's words for its error 802."""
_FABRIC = (
    "CUDA waits for the fabric between the GPUs (error 802: system not yet initialized). On the node: `systemctl status"
    " nvidia-fabricmanager`, and `nvidia-smi -q`, section Fabric. `pulumi up` installs and starts Fabric Manager on"
    " sizes with NVSwitch."
)
_OWN = "devices are the machine's"
_LISTED = "those of its nvidia-smi -L"


def seen_by(pod: Pod, log: str) -> SeenDevice:
    """The device that a pod's log lists first."""
    gpus = listed_gpus(log)
    uuids = [device.uuid for gpu in gpus for device in gpu.devices] + [gpu.uuid for gpu in gpus]
    gpu = gpus[0].uuid if gpus else None
    return SeenDevice(pod.node, pod.name, pod.device.profile, uuids[0] if uuids else None, gpu)


def device_checks(pod: Pod, log: str) -> list[Check]:
    """A pod saw exactly one device of its profile, and CUDA computes on it."""
    checks = [_sees(pod, log)]
    if pod.device.compute:
        checks.append(_computes(pod, log))
    return checks


def distinct(expected: int, seen: Sequence[SeenDevice]) -> Check:
    """No two pods saw the same device."""
    uuids = Counter(device.uuid for device in seen if device.uuid)
    shared = [uuid for uuid, count in uuids.items() if count > 1]
    words = f"{len(uuids)} different devices" + (f", shared: {', '.join(shared)}" if shared else "")
    remedy = (
        "Is sharing (time slicing, MPS) on in the device plugin's configuration?"
        if shared
        else "Not every pod told a device: the checks of those pods say why."
    )
    return Check.of("devices are distinct", "", f"{expected} different devices", words, remedy)


def of_this_machine(node: str, seen: Sequence[SeenDevice], gpus: Sequence[ListedGpu]) -> Check:
    """The pods of this machine saw its own devices and, where it shall have MIG devices, every one of them."""
    by_pods = {device.uuid for device in seen if device.uuid}
    migs = {device.uuid for gpu in gpus for device in gpu.devices}
    foreign = by_pods - migs - {gpu.uuid for gpu in gpus}
    unseen = migs - by_pods if any(device.profile for device in seen) else set()
    words = [f"{uuid} is not of this machine" for uuid in sorted(foreign)]
    words += [f"no pod saw {uuid}" for uuid in sorted(unseen)]
    remedy = "The device plugin offers devices of before a change: `kubectl delete pod` it, and verify again."
    return Check.of(_OWN, node, _LISTED, ", ".join(words) or _LISTED, remedy)


def unlisted(node: str, trouble: str) -> Check:
    """The machine itself cannot say which devices it has."""
    return Check.of(_OWN, node, _LISTED, trouble, "`sudo mig-k8s status` on it, and its dmesg.")


def _sees(pod: Pod, log: str) -> Check:
    gpus = listed_gpus(log)
    expected = f"MIG device {pod.device.profile}" if pod.device.profile else "a whole GPU"
    if len(gpus) == 1:
        seen = ", ".join(f"MIG device {device.profile}" for device in gpus[0].devices) or "a whole GPU"
    else:
        seen = ", ".join(f"GPU {gpu.index}" for gpu in gpus) or one_line(log)[:_LOG]
    remedy = "The container runtime shows a pod other devices than Kubernetes gave it: strategy, runtime class, CDI?"
    return Check.of(f"{pod.name} sees its device", pod.node, expected, seen, remedy)


def _computes(pod: Pod, log: str) -> Check:
    words = re.findall(rf"^{COMPUTE} (\w+)$", log, re.MULTILINE)
    expected, seen = "passed", words[-1] if words else "not tried"
    if seen == "absent":  # it proves less, but the image is the user's choice
        expected = seen = "no sample in this image"
    if _NOT_INITIALIZED in log:
        return Check.of(f"{pod.name} computes", pod.node, expected, seen, _FABRIC)
    remedy = f"CUDA does not run on the device although it is visible: {one_line(log[-_LOG:])}"
    return Check.of(f"{pod.name} computes", pod.node, expected, seen, remedy)
