"""RKE2's config.yaml of one machine."""

from typing import Any

from machine.documents.configuration import RKE2_TOKEN_PATH
from plan.machine.node import NodePlan

MANAGED_KEYS = (
    "node-name", "node-ip", "cni", "tls-san", "write-kubeconfig-mode", "cluster-cidr", "service-cidr", "node-label",
    "node-taint", "server", "token", "token-file", "agent-token", "agent-token-file", "profile", "write-kubeconfig",
    "data-dir", "with-node-id", "disable-agent", "https-listen-port",
)  # fmt: skip
"""Keys whose value this program decides, or on whose default its scripts and the security group rely."""


def config(node: NodePlan, *, public_address: str) -> dict[str, Any]:
    """The content of /etc/rancher/rke2/config.yaml."""
    settings = node.settings
    pool = settings.node_pools[node.pool]
    labels = dict(pool.node_labels)
    if node.mig_config is not None:
        # Known at registration: MIG Manager must never see the node without it (its default is all-disabled).
        labels["nvidia.com/mig.config"] = node.mig_config
    content: dict[str, Any] = {"node-name": node.name, "node-ip": node.private_address}
    if node.role == "server":
        content |= {
            "cni": settings.rke2.cni,
            "tls-san": list(dict.fromkeys([node.name, public_address, *settings.rke2.tls_sans])),
            "write-kubeconfig-mode": "0600",
            "cluster-cidr": settings.network.pod_cidr,
            "service-cidr": settings.network.service_cidr,
        }
    if node.server_url is not None:
        content["server"] = node.server_url
    if has_token(node):
        content["token-file"] = RKE2_TOKEN_PATH
    if labels:
        content["node-label"] = [f"{key}={value}" for key, value in labels.items()]
    if pool.node_taints:
        content["node-taint"] = list(pool.node_taints)
    if settings.rke2.cis:
        content["profile"] = "cis"
    return content | settings.rke2.config


def has_token(node: NodePlan) -> bool:
    """Whether the machines share a token: always but for a machine that is alone."""
    return node.settings.machine_count > 1
