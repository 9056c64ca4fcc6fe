"""What is read of the API server of these tests: objects, logs of pods, and what a command in a pod prints.

A kubelet's own kubeconfig reads only its node and that node's pods (NodeAuthorizer), and what a Role gives it.
"""

import json
import re

from kubernetes_admission import is_granted
from kubernetes_request import PLURALS, ApiError, Request
from kubernetes_scheduling import checkpoint


def get(request: Request) -> str:
    if request.option("--raw") == "/version":  # for everybody
        return json.dumps({"major": "1", "gitVersion": request.facts["version"]})
    kinds, *names = request.positional()
    resource = PLURALS.get(kinds, kinds)
    if resource not in request.resources:
        raise ApiError("", f'error: the server doesn\'t have a resource type "{kinds}"')
    fields = dict(re.findall(r"([\w.]+)=([\w.-]+)", request.option("--field-selector") or ""))
    if request.identity:
        own_node = resource == "nodes" and request.identity in (fields.get("metadata.name"), *names)
        own_pods = resource == "pods" and (names or fields.get("spec.nodeName") == request.identity)
        if not (own_node or own_pods or is_granted(request, "get", resource, names)):
            request.forbid(resource, "a node reads its own Node object and, with spec.nodeName, its own pods")
    if names:
        return json.dumps(request.named(resource, names[0]))
    found = [item for item in request.resources[resource] if request.is_meant(item)]
    if resource == "pods":
        for item in found:  # the kubelet goes on while one looks
            item.setdefault("looks", 0)
            item["looks"] += 1
    shown = [{key: value for key, value in item.items() if key != "looks"} for item in found]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": shown})


def logs(request: Request) -> str:
    if request.identity:
        request.forbid("pods/log", "a node reads no logs")
    name = request.positional()[0]
    pod = request.named("pods", name)
    if pod["status"].get("phase") == "Pending":
        raise ApiError("BadRequest", f'container "device" in pod "{name}" is waiting to start: ContainerCreating')
    given = [e["ids"] for e in request.facts["record"] if e["uid"] == pod["metadata"].get("uid")]
    seen = "".join(request.facts["device_logs"].get(id_.split("::")[0], "") for ids in given for id_ in ids)
    return str(request.facts["logs"].get(name, seen))


def execute(request: Request) -> str:
    """In the device plugin's pod, which has the kubelet's folder and all GPUs of its node."""
    if request.identity:
        request.forbid("pods/exec", "a node runs nothing in pods")
    pod = request.named("pods", request.positional()[0])
    assert pod["metadata"]["labels"]["app"] == "nvidia-device-plugin-daemonset", request.words
    assert request.words[-5:-1] == ("nvidia-device-plugin", "--", "sh", "-c"), request.words
    node = pod["spec"]["nodeName"]
    assert request.words[-1] == "nvidia-smi -L; echo; cat /var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"
    return f"{request.facts['listings'].get(node, '')}\n{json.dumps(checkpoint(request.facts, node))}"
