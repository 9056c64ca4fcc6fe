"""Etcd's members and their Nodes: a member goes with its Node and never by itself (k3s, pkg/etcd/member_controller)."""

from typing import Any

from . import etcd
from .api import Api

ROLE = "node-role.kubernetes.io/etcd"
MEMBER_NAME = "etcd.rke2.cattle.io/node-name"
FINALIZER = "wrangler.cattle.io/managed-etcd-controller"
_MERGE = "application/merge-patch+json"


def follow(api: Api) -> None:
    """Hold every server's Node by a finalizer; the member of a Node that is being deleted goes, then the Node.

    Raises ApiError and EtcdError: asked again, it goes on where it was.
    """
    nodes: list[dict[str, Any]] = api.request("GET", f"/api/v1/nodes?labelSelector={ROLE}")["items"]
    for node in nodes:
        metadata = node["metadata"]
        held = list(metadata.get("finalizers", []))
        if "deletionTimestamp" not in metadata:
            if FINALIZER not in held:
                _hold(api, metadata, [*held, FINALIZER])
        elif FINALIZER in held:
            etcd.remove(metadata.get("annotations", {}).get(MEMBER_NAME, ""))
            _hold(api, metadata, [name for name in held if name != FINALIZER])


def _hold(api: Api, metadata: dict[str, Any], finalizers: list[str]) -> None:
    # With the version, so that two servers do not overwrite each other's.
    body = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
    api.request("PATCH", f"/api/v1/nodes/{metadata['name']}", body, _MERGE)
