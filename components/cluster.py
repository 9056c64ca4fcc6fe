"""The Kubernetes cluster as seen from outside: its kubeconfig, and the provider for what is put into it."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_command import remote

from components.machine_command import Access, machine_command
from components.network import KUBERNETES_API_PORT
from components.node_software import NodeSoftware
from plan import StackPlan

_LOCAL_SERVER = f"server: https://127.0.0.1:{KUBERNETES_API_PORT}"
_NAME_OF_EVERY_API_SERVER = "kubernetes"
"""A name that the certificate of every API server has, whatever its addresses are."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """Inputs of `Cluster`."""

    stack: StackPlan
    access: Access
    """The way to a server of the stack. The API has the same address."""
    software: NodeSoftware
    """The software of the first server: when it is ready, there is a cluster."""
    identity: pulumi.Output[str]
    """Changes with the cluster, and with no machine of it that is rebuilt."""


class Cluster(pulumi.ComponentResource):
    """The cluster that the first server formed."""

    kubeconfig: pulumi.Output[str]
    """The administrator's, pointing at the public address of the server, or of all of them. Secret."""
    provider: kubernetes.Provider

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Cluster", name, None, opts)
        read = machine_command(
            f"{name}-kubeconfig",
            "cat /etc/rancher/rke2/rke2.yaml",
            access=args.access,
            timeout_seconds=60,
            # After a change of the machine's files RKE2 may have made new certificates.
            triggers=[args.software.state],
            logging=remote.Logging.NONE,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.software.ready]),
        )
        reachable = pulumi.Output.all(args.access.address, read.stdout).apply(
            lambda known: kubeconfig_for(known[0], local=known[1], balanced=bool(args.stack.balanced_servers))
        )
        self.kubeconfig = pulumi.Output.secret(reachable)
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # Neither a kubeconfig that is read again nor a rebuilt machine must look like another cluster.
            cluster_identifier=args.identity,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})


def kubeconfig_for(address: str, *, local: str, balanced: bool) -> str:
    """RKE2's own kubeconfig, which names the machine itself as the server, for use from elsewhere.

    `balanced`: the address is a load balancer's. No server's certificate has it, since every server would have to
    restart for it when the third one comes; so certificates are held to another name.
    """
    before, found, after = local.partition(_LOCAL_SERVER)
    if not found:
        raise pulumi.RunError(
            f"/etc/rancher/rke2/rke2.yaml on {address} is not the kubeconfig RKE2 writes: it lacks `{_LOCAL_SERVER}`. "
            "Look at it on the machine; `sudo systemctl restart rke2-server` makes RKE2 write it again."
        )
    indent = before.rpartition("\n")[2]
    name = f"\n{indent}tls-server-name: {_NAME_OF_EVERY_API_SERVER}" if balanced else ""
    return f"{before}server: https://{address}:{KUBERNETES_API_PORT}{name}{after}"
