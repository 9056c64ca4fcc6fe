"""What the API server of these tests lets somebody do: the rights of kubelets, and what admission makes of a pod.

A pod is refused in a namespace whose service account a controller has not made yet, and with a PriorityClass that
admission does not know, be it that it has not yet heard of a new one.
"""

from kubernetes_controllers import Objects
from kubernetes_request import ApiError, Request


def is_granted(request: Request, verb: str, resource: str, names: list[str]) -> bool:
    """Whether a Role gives this to all kubelets (RBAC), and admission (NodeRestriction) does not take it back."""
    roles = [
        binding["roleRef"]["name"]
        for binding in request.resources["rolebindings"]
        if {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"} in binding["subjects"]
    ]
    rules = [rule for role in request.resources["roles"] if role["metadata"]["name"] in roles for rule in role["rules"]]
    return resource != "leases" and any(
        verb in rule["verbs"] and resource in rule["resources"] and names and names[0] in rule["resourceNames"]
        for rule in rules
    )


def admit(request: Request, pod: Objects, home: Objects) -> None:
    """Give a pod its priority. Both that class and a namespace's account are known a moment after they are made."""
    if home.get("account"):
        account = f'{home["name"]}/default: serviceaccount "default" not found'
        words = f'pods "{pod["metadata"]["name"]}" is forbidden: error looking up service account {account}'
        raise ApiError("Forbidden", f'error when creating "STDIN": {words}')
    name = pod["spec"].get("priorityClassName")
    if name is None:
        return
    found = [each for each in request.resources["priorityclasses"] if each["metadata"]["name"] == name]
    if not found or not found[0].setdefault("asked", 0):
        for each in found:
            each["asked"] += 1
        words = f'pods "{pod["metadata"]["name"]}" is forbidden: no PriorityClass with name {name} was found'
        raise ApiError("Forbidden", f'error when creating "STDIN": {words}')
    pod["spec"] |= {"priority": found[0]["value"], "preemptionPolicy": found[0]["preemptionPolicy"]}
