"""RKE2's config.yaml of one machine."""

from typing import Any

from machine.documents.configuration import RKE2_AGENT_TOKEN_PATH, RKE2_TOKEN_PATH, SERVER_TO_JOIN
from plan.machine.addresses import Addresses
from plan.machine.node import NodePlan

MANAGED_KEYS = {
    "node-name": "Use name of the pool.",
    "node-ip": "",
    "cni": "Use rke2.cni.",
    "ingress-controller": "Use rke2.ingress.",
    "tls-san": "Use rke2.tlsSans.",
    "write-kubeconfig-mode": "",
    "cluster-cidr": "Use network.podCidr.",
    "service-cidr": "Use network.serviceCidr.",
    "node-label": "Use nodeLabels of the pool.",
    "node-taint": "Use nodeTaints of the pool.",
    "server": "",
    "token": "Set it as a secret: pulumi config set --secret mig-k8s:rke2Token < FILE",
    "token-file": "",
    "agent-token": "",
    "agent-token-file": "",
    "profile": "Use rke2.cis.",
    "write-kubeconfig": "",
    "data-dir": "",
    "with-node-id": "",
    "disable-agent": "",
    "https-listen-port": "",
}
"""Keys whose value this program decides, or on whose default its scripts and the security group rely; and what a stack
file does instead, where it can."""


def config(node: NodePlan, addresses: Addresses) -> dict[str, Any]:
    """The content of /etc/rancher/rke2/config.yaml."""
    labels = dict(node.labels)
    if node.mig_config is not None:
        # Known at registration: MIG Manager must never see the node without it (its default is all-disabled).
        labels["nvidia.com/mig.config"] = node.mig_config
    content: dict[str, Any] = {"node-name": node.name, "node-ip": addresses.private}
    # From the first start on: a cluster takes no other token later without more ado.
    content["token-file"] = RKE2_TOKEN_PATH
    if node.role == "server":
        content |= {
            "cni": node.rke2.cni,
            # Left out, it is ingress-nginx, or Traefik for new clusters since 1.36; both bind 80 and 443 on every node.
            # What is not named is added to the list of `disable`, so a stack's own list keeps its meaning.
            "ingress-controller": node.rke2.ingress,
            "tls-san": list(dict.fromkeys([node.name, addresses.public, *node.rke2.tls_sans])),
            "write-kubeconfig-mode": "0600",
            "cluster-cidr": node.network.pod_cidr,
            "service-cidr": node.network.service_cidr,
            "agent-token-file": RKE2_AGENT_TOKEN_PATH,
        }
    # The same on all machines: each writes the server by which it joins, or has joined, in its place.
    content["server"] = SERVER_TO_JOIN
    if labels:
        content["node-label"] = [f"{key}={value}" for key, value in labels.items()]
    if node.taints:
        content["node-taint"] = list(node.taints)
    if node.rke2.cis:
        content["profile"] = "cis"
    return content | node.rke2.config
