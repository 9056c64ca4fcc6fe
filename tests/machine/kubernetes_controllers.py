"""What happens in a cluster by itself between two requests of these tests."""

from typing import Any

Objects = dict[str, Any]


def end(facts: Objects, pod: Objects, grace: int) -> None:
    """Ask a pod to end. With 0 seconds of grace the API server forgets it at once, whatever still runs."""
    if grace == 0 and pod["metadata"]["name"] not in facts["stuck"]:
        facts["resources"]["pods"].remove(pod)
    else:
        pod["metadata"].setdefault("deletionTimestamp", "2026-11-26T10:00:00Z")
        pod["looks"] = 0


def run_controllers(facts: Objects) -> None:
    """The kubelet ends and starts pods, owners and the GPU Operator make and remove theirs, pods get a node."""
    for pod in list(facts["resources"]["pods"]):
        meta = pod["metadata"]
        if "deletionTimestamp" in meta and pod.get("looks", 0) and meta["name"] not in facts["stuck"]:
            facts["resources"]["pods"].remove(pod)
            if meta["name"] in facts["owned"]:
                again = {key: value for key, value in meta.items() if key != "deletionTimestamp"}
                again["uid"] += "-again"
                facts["resources"]["pods"].append({**pod, "metadata": again, "looks": 0})
        elif pod["status"].get("phase") == "Pending" and meta["name"] in facts["statuses"]:
            pod["status"] = facts["statuses"][meta["name"]]
        elif pod["status"].get("phase") == "Pending":
            _start(facts, pod)
    for node in facts["resources"]["nodes"]:
        for label, app in facts["daemons"].items():
            _daemon(facts, node["metadata"], label, app)


def _start(facts: Objects, pod: Objects) -> None:
    """Give a new pod a node with enough devices; at the next look it runs."""
    if pod["spec"].get("nodeName"):
        if pod.get("looks", 0):
            pod["status"] = {"phase": "Running"}
        return
    wanted = _devices(pod)
    hostname = pod["spec"].get("nodeSelector", {}).get("kubernetes.io/hostname")
    nodes = [n for n in facts["resources"]["nodes"] if hostname in (None, n["metadata"]["name"])]
    for node in nodes:
        name = node["metadata"]["name"]
        here = [_devices(p) for p in facts["resources"]["pods"] if p["spec"].get("nodeName") == name and _holds(p)]
        free = {key: int(value) for key, value in node["status"].get("allocatable", {}).items() if "/" in key}
        if all(free.get(key, 0) - sum(held.get(key, 0) for held in here) >= n for key, n in wanted.items()):
            pod["spec"]["nodeName"] = name
            return
    lacks = ", ".join(f"1 Insufficient {key}" for key in wanted)
    words = f"0/{len(nodes)} nodes are available: {lacks}. preemption: 0/{len(nodes)} nodes are available."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    pod["status"] = {"phase": "Pending", "conditions": [condition]}


def _daemon(facts: Objects, node: Objects, label: str, app: str) -> None:
    """A DaemonSet's pod is there when its deploy label is true."""
    name = f"{app}-{node['name']}"
    there = [p for p in facts["resources"]["pods"] if p["metadata"]["name"] == name]
    if node.get("labels", {}).get(label) == "true" and not there:
        meta = {"name": name, "namespace": "gpu-operator", "uid": f"uid-{name}", "labels": {"app": app}}
        facts["resources"]["pods"].append(
            {"metadata": meta, "spec": {"nodeName": node["name"]}, "status": {"phase": "Running"}}
        )
    elif node.get("labels", {}).get(label) != "true" and there and "deletionTimestamp" not in there[0]["metadata"]:
        end(facts, there[0], 30)


def _devices(pod: Objects) -> dict[str, int]:
    """Extended resources that a pod asks for."""
    wanted: dict[str, int] = {}
    for container in pod["spec"].get("containers", []):
        for key, value in container.get("resources", {}).get("limits", {}).items():
            if "/" in key:
                wanted[key] = wanted.get(key, 0) + int(value)
    return wanted


def _holds(pod: Objects) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed")
