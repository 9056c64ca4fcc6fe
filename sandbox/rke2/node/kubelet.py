"""The kubelet of this machine, and the network of its pods: a bridge that stands in for the CNI that was asked for."""

import ipaddress
import json

import yaml

from . import certificates, kubeconfig, paths
from .configuration import POD_BRIDGE, Configuration
from .units import Unit

_KUBECONFIG = paths.AGENT / "kubelet.kubeconfig"


def configure(configuration: Configuration) -> Unit:
    """Certificates, kubeconfig, kubelet configuration and CNI configuration; returns the unit."""
    name = configuration.node_name
    names = (f"DNS:{name}", f"IP:{configuration.node_ip}", "IP:127.0.0.1")
    serving = certificates.issue(paths.AGENT / "serving-kubelet", f"/CN={name}", "serverAuth", names)
    client = certificates.issue(paths.AGENT / "client-kubelet", f"/O=system:nodes/CN=system:node:{name}", "clientAuth")
    kubeconfig.write(_KUBECONFIG, client)
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates.AUTHORITY)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving),
        "tlsPrivateKeyFile": str(serving.with_suffix(".key")),
        "containerRuntimeEndpoint": f"unix://{paths.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,  # 1.35 refuses a host with control groups v1 otherwise
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "enforceNodeAllocatable": [],
        # The disk is the host's: a nearly full one must not evict the pods here.
        "evictionHard": dict.fromkeys(
            ("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "1%"
        )
        | {"memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "2s",
        "registerWithTaints": [
            {"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in configuration.taints
        ],
    }
    paths.write(paths.KUBELET_CONFIGURATION, yaml.safe_dump(content), 0o600)
    _write_network(configuration.cluster_cidr)
    labels = ("node.kubernetes.io/instance-type=rke2", *configuration.labels)
    return Unit(
        name="kubelet",
        command=(
            str(paths.PROGRAMS / "kubelet"),
            f"--config={paths.KUBELET_CONFIGURATION}",
            f"--kubeconfig={_KUBECONFIG}",
            f"--hostname-override={name}",
            f"--node-ip={configuration.node_ip}",
            f"--node-labels={','.join(labels)}",  # the kubelet sends them when it registers, never later
            *configuration.kubelet_arguments,
        ),
        files=(paths.KUBELET_CONFIGURATION, _KUBECONFIG, serving),
        keeps_children=True,
    )


def _write_network(cluster: ipaddress.IPv4Network) -> None:
    subnet = next(cluster.subnets(new_prefix=24)) if cluster.prefixlen < 24 else cluster
    content = {
        "cniVersion": "0.4.0",
        "name": "rke2",
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_BRIDGE,
                "isGateway": True,
                "ipMasq": False,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": str(subnet)}]]},
            },
        ],
    }
    paths.write(paths.CNI_CONFIGURATION / "10-rke2.conflist", json.dumps(content, indent=2) + "\n", 0o644)
