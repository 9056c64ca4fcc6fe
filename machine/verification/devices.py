"""The devices that pods have: the right ones, each once, and those of this machine."""

import re
from collections import Counter
from collections.abc import Sequence

from machine.documents.verification_report import BY_A_POD, Check, ProvenDevice
from machine.gpu.nvidia_smi import listed_gpus
from machine.host.console import one_line
from machine.verification.in_use import Listed
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


def seen_by(pod: Pod, log: str) -> ProvenDevice:
    """The device that a pod's log lists first."""
    gpus = listed_gpus(log)
    uuids = [device.uuid for gpu in gpus for device in gpu.devices] + [gpu.uuid for gpu in gpus]
    gpu = gpus[0].uuid if gpus else None
    uuid = uuids[0] if uuids else None
    return ProvenDevice(pod.node, pod.name, pod.device.profile, uuid, gpu, pod.device.resource)


def device_checks(pod: Pod, log: str) -> list[Check]:
    """A pod saw exactly one device of its profile, and CUDA computes on it."""
    checks = [_sees(pod, log)]
    if pod.device.compute:
        checks.append(_computes(pod, log))
    return checks


def in_use_checks(pods: Sequence[Pod], devices: Sequence[ProvenDevice]) -> list[Check]:
    """Each device that a user's pod holds is of its machine, of its resource's profile, and held once."""
    of_a_pod = {pod.kind: pod.device.profile for pod in pods}
    shared = overfull(devices, pods)
    checks = []
    for device in devices:
        if device.proof == BY_A_POD:
            continue
        others = [each.pod for each in devices if each.uuid == device.uuid and each is not device]
        seen = _named(device.profile) if device.gpu else f"{device.uuid}, which is not of this machine"
        if device.uuid in shared:
            seen += f", which {', '.join(others)} has too"
        expected = _named(of_a_pod[device.kind]) if device.kind in of_a_pod else f"nothing of {device.resource}"
        remedy = f"Delete {device.pod}: its owner makes it again with a device that is there and its own."
        checks.append(Check.of(f"{device.pod} holds a device", device.node, expected, seen, remedy))
    return checks


def overfull(devices: Sequence[ProvenDevice], pods: Sequence[Pod]) -> list[str]:
    """UUIDs of the devices that more pods have than may share them."""
    replicas = {pod.kind: pod.device.replicas for pod in pods}
    having = Counter(device.uuid for device in devices if device.uuid)
    limits = {device.uuid: replicas.get(device.kind, 1) for device in devices}
    return [uuid for uuid, count in having.items() if count > limits[uuid]]


def distinct(pods: Sequence[Pod], devices: Sequence[ProvenDevice]) -> Check:
    """Check that the pods have as many devices as they are for, and none more pods than may share it."""
    expected = round(sum(1 / pod.device.replicas for pod in pods))
    shared = overfull(devices, pods)
    count = len({device.uuid for device in devices if device.uuid})
    words = f"{count} different devices" + (f", shared: {', '.join(shared)}" if shared else "")
    remedy = (
        "Is sharing (time slicing, MPS) on in the device plugin's configuration?"
        if shared
        else "Not every pod told a device: the checks of those pods say why."
    )
    return Check.of("devices are distinct", "", f"{expected} different devices", words, remedy)


def of_their_machine(node: str, devices: Sequence[ProvenDevice], listed: Listed) -> Check:
    """The pods of a machine have its own devices and, where it shall have MIG devices, every one of them."""
    by_pods = {device.uuid for device in devices if device.uuid and device.proof == BY_A_POD}
    migs = {uuid for uuid, (profile, _) in listed.items() if profile}
    foreign = by_pods - set(listed)
    without = migs - {device.uuid for device in devices} if any(device.profile for device in devices) else set()
    words = [f"{uuid} is not of this machine" for uuid in sorted(foreign)]
    words += [f"no pod has {uuid}" for uuid in sorted(without)]
    remedy = "The device plugin offers devices of before a change: `kubectl delete pod` it, and verify again."
    return Check.of(_OWN, node, _LISTED, ", ".join(words) or _LISTED, remedy)


def unlisted(node: str, trouble: str) -> Check:
    """The failed check of a machine that cannot say which devices it has."""
    return Check.of(_OWN, node, _LISTED, trouble, "`sudo mig-k8s status` on it, and its dmesg.")


def _named(profile: str | None) -> str:
    return f"MIG device {profile}" if profile else "a whole GPU"


def _sees(pod: Pod, log: str) -> Check:
    gpus = listed_gpus(log)
    expected = _named(pod.device.profile)
    if len(gpus) == 1:
        seen = ", ".join(_named(device.profile) for device in gpus[0].devices) or _named(None)
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
