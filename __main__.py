"""mig-k8s: from a stack file to Kubernetes on Azure GPU machines with exactly the MIG devices it asks for."""

import pulumi
from pulumi_azure_native.resources import ResourceGroup

from components.cluster import Cluster, ClusterArgs
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.machine import Machine, MachineArgs
from components.mig_instances import MigInstances, MigInstancesArgs
from components.mig_manager import freed, labelled
from components.network import Network, NetworkArgs
from components.node_release import NodeRelease, NodeReleaseArgs
from components.node_software import NodeSoftware, NodeSoftwareArgs
from components.verification import Verification, VerificationArgs
from plan import Problems, plan_stack, read_settings, warning_report
from stack_config import stack_config

config = stack_config()
try:
    stack = plan_stack(read_settings(config.values, location=config.location, secrets=config.secret_keys))
    keys = config.ssh_keys()
except Problems as problems:
    raise pulumi.RunError(str(problems)) from None
if stack.warnings:
    pulumi.log.warn(warning_report(stack.warnings))

group = ResourceGroup(f"mig-k8s-{pulumi.get_stack()}", location=stack.location, tags=stack.tags)
network = Network("network", NetworkArgs(stack=stack, resource_group_name=group.name))
machines = {node.name: Machine(node.name, MachineArgs(plan=node, network=network, keys=keys)) for node in stack.nodes}
access = {name: machine.access for name, machine in machines.items()}
first = stack.nodes[0].name
releases = {name: NodeRelease(name, NodeReleaseArgs(access=each)) for name, each in access.items()}
free = freed(stack, access, releases)
token, digest_key = config.secret("rke2Token"), keys.host_private
software: dict[str, NodeSoftware] = {}
for node in stack.nodes:  # the first server forms the cluster, so every other machine waits for it
    after = [*free[node.name], *([software[first].ready] if software else [])]
    args = NodeSoftwareArgs(plan=node, release=releases[node.name], token=token, digest_key=digest_key, after=after)
    software[node.name] = NodeSoftware(node.name, args)
instances = [
    MigInstances(node.name, MigInstancesArgs(plan=node, access=access[node.name], after=[software[node.name].ready]))
    for node in stack.nodes
    if node.mig_owner == "host"
]
cluster = Cluster("cluster", ClusterArgs(access=access[first], software=software[first]))
everything: list[pulumi.Resource] = [*(each.ready for each in software.values()), *(each.made for each in instances)]
in_cluster = pulumi.ResourceOptions(providers=[cluster.provider])
operator = GpuOperator("gpu-operator", GpuOperatorArgs(plan=stack.gpu_operator, after=everything), in_cluster)
everything += [operator, *labelled(stack, access, after=[operator])]
triggers = [operator.release_digest, *(each.state for each in software.values())]
verification = stack.verification and Verification(
    "verification",
    VerificationArgs(plan=stack.verification, access=access[first], triggers=triggers, after=everything),
)

pulumi.export("addresses", {name: each.address for name, each in access.items()})
pulumi.export("ssh", {name: each.ssh_command for name, each in access.items()})
pulumi.export("knownHosts", {name: each.known_hosts_line for name, each in access.items()})
pulumi.export("kubeconfig", cluster.kubeconfig)
layouts = {node.name: node.layout.json() for node in stack.nodes if node.layout}
pulumi.export("layout", {name: pulumi.Output.json_loads(layout) for name, layout in layouts.items()})
pulumi.export("verification", verification and verification.report)
