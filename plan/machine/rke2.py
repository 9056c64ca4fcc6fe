"""RKE2's config.yaml of one machine."""

from typing import Any

from plan.machine.node import NodePlan

TOKEN_PATH = "/etc/rancher/rke2/token"  # noqa: S105 - where the token lies, not the token

MANAGED_KEYS = (
    "node-name", "node-ip", "cni", "tls-san", "write-kubeconfig-mode", "cluster-cidr", "service-cidr", "node-label",
    "node-taint", "server", "token", "token-file", "agent-token", "agent-token-file", "profile", "write-kubeconfig",
    "data-dir", "with-node-id", "disable-agent", "https-listen-port",
)  # fmt: skip
"""Keys whose value this program decides, or on whose default its scripts and the security group rely."""


def config(node: NodePlan, *, public_address: str) -> dict[str, Any]:
    """The content of /etc/rancher/rke2/config.yaml."""
    labels = dict(node.labels)
    if node.mig_config is not None:
        # Known at registration: MIG Manager must never see the node without it (its default is all-disabled).
        labels["nvidia.com/mig.config"] = node.mig_config
    content: dict[str, Any] = {"node-name": node.name, "node-ip": node.private_address}
    if node.role == "server":
        content |= {
            "cni": node.rke2.cni,
            "tls-san": list(dict.fromkeys([node.name, public_address, *node.rke2.tls_sans])),
            "write-kubeconfig-mode": "0600",
            "cluster-cidr": node.network.pod_cidr,
            "service-cidr": node.network.service_cidr,
        }
    if node.server_url is not None:
        content["server"] = node.server_url
    if node.has_token:
        content["token-file"] = TOKEN_PATH
    if labels:
        content["node-label"] = [f"{key}={value}" for key, value in labels.items()]
    if node.taints:
        content["node-taint"] = list(node.taints)
    if node.rke2.cis:
        content["profile"] = "cis"
    return content | node.rke2.config
