"""What is changed on the API server of these tests: labels, what takes pods, and objects that are made or replaced.

A kubelet's own kubeconfig changes only its node (NodeRestriction), and what a Role gives it. Nothing is made twice or
in a namespace that is not there.
"""

import json

from kubernetes_admission import admit, is_granted
from kubernetes_controllers import ACCOUNT_COMES, Objects
from kubernetes_request import BUILT_IN, PLURALS, ApiError, Request


def label(request: Request) -> str:
    _, name, *changes = request.positional()
    if request.identity not in (None, name):
        request.forbid(f'nodes "{name}"', f'node "{request.identity}" is not allowed to modify node "{name}"')
    labels = request.named("nodes", name)["metadata"].setdefault("labels", {})
    for change in changes:
        key, equal, value = change.partition("=")
        if request.identity and "node-restriction.kubernetes.io/" in key:
            request.forbid(f'nodes "{name}"', f"is not allowed to modify labels: {key.rstrip('-')}")
        if not equal:
            labels.pop(key.removesuffix("-"), None)
        elif key in labels and labels[key] != value and "--overwrite" not in request.words:
            raise ApiError("", f"error: '{key}' already has a value ({labels[key]}), and --overwrite is false")
        else:
            labels[key] = value
    return f"node/{name} labeled\n"


def cordon(request: Request) -> str:
    if request.identity not in (None, request.words[1]):
        request.forbid("nodes", f'node "{request.identity}" is not allowed to modify node "{request.words[1]}"')
    request.named("nodes", request.words[1]).setdefault("spec", {})["unschedulable"] = request.words[0] == "cordon"
    return f"node/{request.words[1]} {request.words[0]}ed\n"


def create(request: Request) -> str:
    body = json.loads(request.stdin)
    if request.identity:
        request.forbid("namespaces", "a node creates no objects")
    refused: list[str] = []
    if not body.get("items", [body]):
        raise ApiError("", "error: no objects passed to create")  # kubectl's own
    for item in body.get("items", [body]):
        try:
            _create_one(request, item)
        except ApiError as error:
            refused.append(str(error))
    if refused:
        raise ApiError("", "\n".join(refused))
    return ""


def apply(request: Request) -> str:
    if request.identity:
        request.forbid("roles", "a node gives no rights")
    item = json.loads(request.stdin)
    resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
    others = [each for each in request.resources[resource] if each["metadata"]["name"] != meta["name"]]
    request.resources[resource] = others
    _create_one(request, item)
    return ""


def replace(request: Request) -> str:
    """A version that somebody else has changed meanwhile is refused."""
    item = json.loads(request.stdin)
    resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
    if request.identity and not is_granted(request, "update", resource, [meta["name"]]):
        request.forbid(resource, "a node changes no objects but its own")
    there = request.named(resource, meta["name"])
    if meta["resourceVersion"] != there["metadata"]["resourceVersion"]:
        words = "the object has been modified; please apply your changes to the latest version and try again"
        raise ApiError("Conflict", f'Operation cannot be fulfilled on {resource} "{meta["name"]}": {words}')
    request.resources[resource].remove(there)
    _create_one(request, item)
    return ""


def _create_one(request: Request, item: Objects) -> None:
    resource, meta = PLURALS[item["kind"].lower()], item["metadata"]
    if resource == "pods":
        meta["namespace"] = meta.get("namespace") or request.option("-n", "--namespace") or "default"
        homes = [n["metadata"] for n in request.resources["namespaces"] if n["metadata"]["name"] == meta["namespace"]]
        if not homes:
            raise ApiError("NotFound", f'namespaces "{meta["namespace"]}" not found')
        if "deletionTimestamp" in homes[0]:
            words = f"unable to create new content in namespace {meta['namespace']} because it is being terminated"
            raise ApiError("Forbidden", f'pods "{meta["name"]}" is forbidden: {words}')
        admit(request, item, homes[0])
    same = [(i["metadata"]["name"], i["metadata"].get("namespace")) for i in request.resources[resource]]
    if (meta["name"], meta.get("namespace")) in same:
        raise ApiError("AlreadyExists", f'{resource} "{meta["name"]}" already exists')
    if "--dry-run=server" in request.words:
        return
    if resource not in BUILT_IN:
        item["status"] = {"phase": "Pending"} if resource == "pods" else {"phase": "Active"}
    if resource == "namespaces":
        meta["account"] = ACCOUNT_COMES
    request.facts["made"] += 1
    meta.setdefault("uid", f"uid-{meta['name']}-{request.facts['made']}")
    meta["resourceVersion"] = str(request.facts["made"])
    request.resources[resource].append(item)
