"""What ends on the API server of these tests: objects that are deleted, and pods that are evicted.

An eviction obeys disruption budgets, dry run and preconditions. A kubelet's own kubeconfig ends its node's pods only.
"""

import json
from collections.abc import Sequence

from kubernetes_controllers import Objects, end, run_controllers
from kubernetes_request import PLURALS, ApiError, Request


def delete(request: Request) -> str:
    kind, *names = request.positional()
    if "/" in kind:
        for word in (kind, *names):
            _delete_of(request, *word.split("/"))
        return ""
    return _delete_of(request, kind, *names)


def _delete_of(request: Request, kind: str, *names: str) -> str:
    resource = PLURALS.get(kind, kind)
    if request.identity and resource != "pods":
        request.forbid(resource, "a node deletes its own pods only")
    if not names:
        assert "--all" in request.words or request.option("-l", "--selector"), request.words
        names = tuple(item["metadata"]["name"] for item in request.resources[resource] if request.is_meant(item))
    for name in names:
        try:
            item = request.named(resource, name)
        except ApiError:
            if "--ignore-not-found" not in request.words:
                raise
            continue
        _delete_one(request, resource, item)
    if resource == "pods" and "--wait=true" in request.words:
        _wait_for_the_end_of(request, names)
    return ""


def _delete_one(request: Request, resource: str, item: Objects) -> None:
    name = item["metadata"]["name"]
    if resource == "pods":
        end(request.facts, item, item["spec"].get("terminationGracePeriodSeconds", 30))
    elif name in request.facts["stuck_nodes"]:  # a finalizer waits, for the etcd member of a server for example
        raise ApiError("", f"error: timed out waiting for the condition on nodes/{name}")
    elif resource == "namespaces" and "--wait=false" in request.words:
        item["metadata"]["deletionTimestamp"] = "2026-11-26T10:00:00Z"  # it is there for 5 s at least
    elif name in request.facts["stuck_namespaces"]:
        raise ApiError("", f"error: timed out waiting for the condition on namespaces/{name}")
    else:
        request.resources[resource].remove(item)
        home = {"namespaces": _namespace, "nodes": _node_name}.get(resource)
        request.resources["pods"] = [p for p in request.resources["pods"] if home is None or home(p) != name]


def _wait_for_the_end_of(request: Request, names: Sequence[str]) -> None:
    for pod in request.resources["pods"]:
        pod["looks"] = 1  # time goes by: each kubelet ends what it was told to
    run_controllers(request.facts)
    for pod in request.resources["pods"]:
        if request.is_meant(pod) and (name := pod["metadata"]["name"]) in names:
            raise ApiError("", f"error: timed out waiting for the condition on pods/{name}")


def evict(request: Request) -> str:
    eviction = json.loads(request.stdin)
    assert (eviction["apiVersion"], eviction["kind"]) == ("policy/v1", "Eviction"), eviction
    namespace, name = eviction["metadata"]["namespace"], eviction["metadata"]["name"]
    options = eviction["deleteOptions"]
    assert request.option("--raw") == f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", request.words
    there = [
        p for p in request.resources["pods"] if (p["metadata"]["namespace"], p["metadata"]["name"]) == (namespace, name)
    ]
    if not there:
        raise ApiError("NotFound", f'pods "{name}" not found')
    (pod,) = there
    if request.identity not in (None, pod["spec"].get("nodeName")):
        own = "with spec.nodeName set to itself"
        request.forbid(f'pods "{name}"', f"node {request.identity} can only evict pods {own}")
    wanted = options.get("preconditions", {}).get("uid", pod["metadata"]["uid"])
    if wanted != pod["metadata"]["uid"]:
        words = f"the UID in the precondition ({wanted}) does not match the UID in record ({pod['metadata']['uid']})"
        raise ApiError("Conflict", f'Operation cannot be fulfilled on Pod "{name}": Precondition failed: {words}')
    _obey_budgets(request, pod)
    if options.get("dryRun") != ["All"]:
        end(request.facts, pod, options.get("gracePeriodSeconds", 30))
    return '{"kind":"Status","status":"Success"}\n'


def _obey_budgets(request: Request, pod: Objects) -> None:
    budgets = request.facts["budgets"].get(pod["metadata"]["name"], [])
    if "deletionTimestamp" in pod["metadata"] or pod["status"].get("phase") in ("Succeeded", "Failed", "Pending"):
        return
    if len(budgets) > 1:
        words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError("InternalError", f"Internal error occurred: {words}")
    if budgets:
        # The log that -v=8 adds, and the error as it stands without.
        cause = f"The disruption budget {budgets[0]} needs 1 healthy pods and has 1 currently"
        body = {"message": "Cannot evict pod", "details": {"causes": [{"message": cause}]}}
        details = f"I1123 round_trippers.go:632 Response Body: {json.dumps(body)}\n"
        said = "Cannot evict pod as it would violate the pod's disruption budget."
        raise ApiError("TooManyRequests", said, details)


def _namespace(pod: Objects) -> object:
    return pod["metadata"]["namespace"]


def _node_name(pod: Objects) -> object:
    return pod["spec"].get("nodeName")
