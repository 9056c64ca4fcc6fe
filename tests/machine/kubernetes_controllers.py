"""What happens in a cluster by itself between two requests of these tests."""

from kubernetes_scheduling import Objects, end, schedule, start

__all__ = ["ACCOUNT_COMES", "Objects", "end", "run_controllers"]

ACCOUNT_COMES = 3
"""A new namespace has its service account this many runs of the controllers later: after one request in between."""


def run_controllers(facts: Objects) -> None:
    """The kubelet ends and starts pods, owners and the GPU Operator make and remove theirs, pods get a node.

    And namespaces get their service account.
    """
    for namespace in facts["resources"].get("namespaces", []):
        namespace["metadata"]["account"] = max(0, namespace["metadata"].get("account", 0) - 1)
    dead = {node["metadata"]["name"] for node in facts["resources"]["nodes"] if _is_dead(node)}
    for pod in sorted(facts["resources"]["pods"], key=lambda pod: -pod["spec"].get("priority", 0)):
        meta = pod["metadata"]
        is_stuck = meta["name"] in facts["stuck"] or pod["spec"].get("nodeName") in dead  # no kubelet ends it there
        if "deletionTimestamp" in meta and pod.get("looks", 0) and not is_stuck:
            facts["resources"]["pods"].remove(pod)
            if meta["name"] in facts["owned"]:
                again = {key: value for key, value in meta.items() if key != "deletionTimestamp"}
                again["uid"] += "-again"
                facts["resources"]["pods"].append({**pod, "metadata": again, "looks": 0})
        elif pod["status"].get("phase") == "Pending" and meta["name"] in facts["statuses"]:
            pod["status"] = facts["statuses"][meta["name"]]
        elif pod["status"].get("phase") == "Pending":
            (start if pod["spec"].get("nodeName") else schedule)(facts, pod)
    for node in facts["resources"]["nodes"]:
        for label, app in facts["daemons"].items():
            _daemon(facts, node["metadata"], label, app)


def _is_dead(node: Objects) -> bool:
    return node["status"]["conditions"][0]["status"] == "Unknown"


def _daemon(facts: Objects, node: Objects, label: str, app: str) -> None:
    """A DaemonSet's pod is there when its deploy label is true."""
    name = f"{app}-{node['name']}"
    there = [p for p in facts["resources"]["pods"] if p["metadata"]["name"] == name]
    if node.get("labels", {}).get(label) == "true" and not there:
        meta = {"name": name, "namespace": "gpu-operator", "uid": f"uid-{name}", "labels": {"app": app}}
        facts["resources"]["pods"].append(
            {
                "metadata": meta,
                "spec": {"nodeName": node["name"], "containers": [{"name": app.removesuffix("-daemonset")}]},
                "status": {"phase": "Running"},
            }
        )
    elif node.get("labels", {}).get(label) != "true" and there and "deletionTimestamp" not in there[0]["metadata"]:
        end(facts, there[0], 30)
