"""The scheduler and the kubelets of these tests' cluster: which pod gets a device, waits for one, or is preempted.

As the real ones do: a pod without a device left waits and is told so; one of a higher priority ends others for it;
a kubelet gives out devices that its plugin has registered, writes down whose they are, and forgets that late.
"""

from collections import Counter
from typing import Any

Objects = dict[str, Any]
ENDED = ("Succeeded", "Failed")


def end(facts: Objects, pod: Objects, grace: int) -> None:
    """Ask a pod to end. With 0 seconds of grace the API server forgets it at once, whatever still runs."""
    if grace == 0 and pod["metadata"]["name"] not in facts["stuck"]:
        facts["resources"]["pods"].remove(pod)
    else:
        pod["metadata"].setdefault("deletionTimestamp", "2026-11-26T10:00:00Z")
        pod["looks"] = 0


def schedule(facts: Objects, pod: Objects) -> None:
    """Give a new pod a node with enough devices, or say what there is too little of and end pods of lower priority."""
    hostname = pod["spec"].get("nodeSelector", {}).get("kubernetes.io/hostname")
    nodes = facts["resources"]["nodes"]
    meant = [node for node in nodes if hostname in (None, node["metadata"]["name"])]
    for node in meant:
        if not _lacking(facts, pod, node):
            pod["spec"]["nodeName"] = node["metadata"]["name"]
            return
    reasons = Counter(f"Insufficient {key}" for node in meant for key in _lacking(facts, pod, node))
    if others := len(nodes) - len(meant):
        reasons["node(s) didn't match Pod's node affinity/selector"] = others
    words = f"0/{len(nodes)} nodes are available: {', '.join(f'{n} {reason}' for reason, n in reasons.items())}."
    if pod["spec"].get("preemptionPolicy") == "Never":
        words += " preemption: not eligible due to preemptionPolicy=Never."
    else:
        words += f" preemption: 0/{len(nodes)} nodes are available: 1 No preemption victims found for incoming pod."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}
    if pod["spec"].get("preemptionPolicy") != "Never":
        for node in meant:
            _preempt(facts, pod, node)


def start(facts: Objects, pod: Objects) -> None:
    """The kubelet gives a pod its devices; at the next look it runs. It refuses one for which it has none."""
    if not pod.get("looks", 0):
        return
    node, record = pod["spec"]["nodeName"], facts["record"]
    alive = {each["metadata"].get("uid") for each in facts["resources"]["pods"] if _holds(each)}
    for resource, wanted in devices_of(pod).items():
        registered = facts["devices"].get(node, {}).get(resource)
        if registered is None:  # a test that says by the pods' names what they see
            continue
        taken = [i for e in record if e["resource"] == resource and e["uid"] in alive for i in e["ids"]]
        free = [device for device in registered if device not in taken]
        if len(free) < wanted:
            words = "Allocate failed due to requested number of devices unavailable for"
            words += f" {resource}. Requested: {wanted}, Available: {len(free)}, which is unexpected"
            pod["status"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": words}
            return
        record.append({"node": node, "uid": pod["metadata"]["uid"], "resource": resource, "ids": free[:wanted]})
    pod["status"] = {"phase": "Running"}


def checkpoint(facts: Objects, node: str) -> Objects:
    """The record of a node's kubelet, in the form of its file; pods that are gone still stand in it."""
    entries = [
        {
            "PodUID": entry["uid"],
            "ContainerName": "main",
            "ResourceName": entry["resource"],
            "DeviceIDs": {"-1": entry["ids"]},
            "AllocResp": "",
        }
        for entry in facts["record"]
        if entry["node"] == node
    ]
    registered = facts["devices"].get(node, {})
    return {"Data": {"PodDeviceEntries": entries, "RegisteredDevices": registered}, "Checksum": 1}


def devices_of(pod: Objects) -> Counter[str]:
    """Extended resources that a pod asks for."""
    wanted: Counter[str] = Counter()
    for container in pod["spec"].get("containers", []):
        for key, value in container.get("resources", {}).get("limits", {}).items():
            if "/" in key:
                wanted[key] += int(value)
    return wanted


def _holds(pod: Objects) -> bool:
    return pod["status"].get("phase") not in ENDED


def _on(facts: Objects, node: Objects) -> list[Objects]:
    """The pods that hold what they were given on a node, the ending ones too."""
    name = node["metadata"]["name"]
    return [p for p in facts["resources"]["pods"] if p["spec"].get("nodeName") == name and _holds(p)]


def _lacking(facts: Objects, pod: Objects, node: Objects) -> list[str]:
    wanted, held = devices_of(pod), Counter[str]()
    for each in _on(facts, node) if wanted else ():
        held.update(devices_of(each))
    there = node["status"].get("allocatable", {})
    return [key for key, count in wanted.items() if int(there.get(key, 0)) - held[key] < count]


def _preempt(facts: Objects, pod: Objects, node: Objects) -> None:
    """End pods of a lower priority, the lowest first, as far as they hold what this pod lacks."""
    priority = pod["spec"].get("priority", 0)
    for key in _lacking(facts, pod, node):
        holders = [p for p in _on(facts, node) if devices_of(p)[key]]
        if any("deletionTimestamp" in p["metadata"] for p in holders):
            return  # one is already ending
        for victim in sorted(holders, key=lambda p: p["spec"].get("priority", 0))[:1]:
            if victim["spec"].get("priority", 0) < priority:
                target = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
                victim["status"].setdefault("conditions", []).append(target)
                end(facts, victim, victim["spec"].get("terminationGracePeriodSeconds", 30))
