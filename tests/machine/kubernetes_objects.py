"""Objects as `kubectl get` has them: nodes, and pods of users."""

from kubernetes_controllers import Objects


def node(
    name: str,
    boot_id: str,
    allocatable: dict[str, str],
    labels: dict[str, str],
    *,
    ready: str = "True",
    address: str = "10.60.0.99",
) -> Objects:
    """A node, as `kubectl get nodes` has it."""
    conditions = [{"type": "Ready", "status": ready, "message": "kubelet is posting ready status"}]
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "allocatable": allocatable,
            "conditions": conditions,
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}],
            "nodeInfo": {"bootID": boot_id, "kubeletVersion": "v1.35.7+rke2r1"},
        },
    }


def pod(name: str, node_name: str, uid: str, phase: str = "Running", **meta: object) -> Objects:
    """A pod of namespace `work`."""
    metadata = {"name": name, "namespace": "work", "uid": uid, **meta}
    return {
        "metadata": metadata,
        "spec": {"nodeName": node_name, "containers": [{"name": "main"}]},
        "status": {"phase": phase},
    }


def pod_for(resource: str, name: str, count: int = 1, **spec: object) -> Objects:
    """A pod of namespace `work` that asks for devices, not yet scheduled."""
    containers = [{"name": "main", "resources": {"limits": {resource: str(count)}}}]
    metadata = {"name": name, "namespace": "work", "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"containers": containers, **spec}, "status": {"phase": "Pending"}}
