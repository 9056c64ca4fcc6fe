"""The kubelet of this machine, and the network of its pods: a bridge that stands in for the CNI that was asked for."""

import ipaddress
import json
import subprocess
from pathlib import Path

import yaml

from . import certificates, kubeconfig, paths
from .certificates import SERVER
from .configuration import POD_BRIDGE, Configuration
from .units import Unit

_KUBECONFIG = paths.AGENT / "kubelet.kubeconfig"


def own_certificates(configuration: Configuration) -> tuple[Path, Path]:
    """Serving and client certificate, on a server, which has the authority's key."""
    name = configuration.node_name
    names = certificates.alternative_names([name, "localhost", "127.0.0.1", configuration.node_ip])
    client = SERVER.issue(paths.AGENT / "client-kubelet", f"/O=system:nodes/CN=system:node:{name}", "clientAuth")
    return SERVER.issue(paths.AGENT / "serving-kubelet", f"/CN={name}", "serverAuth", names), client


def configure(configuration: Configuration, serving: Path, client: Path) -> Unit:
    """Kubeconfig, kubelet configuration and CNI configuration; returns the unit."""
    name = configuration.node_name
    kubeconfig.write(_KUBECONFIG, client)
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.AUTHORITY)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving),
        "tlsPrivateKeyFile": str(serving.with_suffix(".key")),
        "containerRuntimeEndpoint": f"unix://{paths.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,  # 1.35 refuses a host with control groups v1 otherwise
        "failSwapOn": False,
        "protectKernelDefaults": configuration.protect_kernel_defaults,
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
    _write_network(configuration)
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
        files=(paths.KUBELET_CONFIGURATION, _KUBECONFIG, paths.AUTHORITY, serving),
        keeps_children=True,
    )


def _write_network(configuration: Configuration) -> None:
    """Pods reach their machine, through it the Service `kubernetes`, and with its address what it reaches.

    Nothing leads to another machine's pods.
    """
    pods = pod_subnet(configuration.cluster_cidr, configuration.node_ip)
    rule = f"ip saddr {pods} ip daddr != {configuration.cluster_cidr} masquerade"
    chain = f"chain outgoing {{ type nat hook postrouting priority srcnat; {rule}; }}"
    rules = f"table ip {POD_BRIDGE}\ndelete table ip {POD_BRIDGE}\ntable ip {POD_BRIDGE} {{\n{chain}\n}}\n"
    subprocess.run(["nft", "--file", "-"], input=rules, text=True, timeout=60, check=True)
    content = {
        "cniVersion": "0.4.0",
        "name": "rke2",
        "plugins": [
            {
                "type": "bridge",
                "bridge": POD_BRIDGE,
                "isGateway": True,
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
        ],
    }
    paths.write(paths.CNI_CONFIGURATION / "10-rke2.conflist", json.dumps(content, indent=2) + "\n", 0o644)


def pod_subnet(cluster: ipaddress.IPv4Network, node_ip: str) -> ipaddress.IPv4Network:
    """A /24 of this machine's own, by the end of its address: machines of one network do not give pods the same one."""
    if cluster.prefixlen >= 24:
        return cluster
    number = int(ipaddress.IPv4Address(node_ip)) % 2 ** (24 - cluster.prefixlen)
    return ipaddress.IPv4Network((int(cluster.network_address) + number * 256, 24))
