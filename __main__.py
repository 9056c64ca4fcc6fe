"""mig-k8s: from a stack file to Kubernetes on Azure GPU machines with exactly the MIG devices it asks for."""

import pulumi
from pulumi_azure_native.resources import ResourceGroup

from components.cluster import Cluster, ClusterArgs
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.machine import machines_of
from components.machine_command import after
from components.mig_instances import MigInstances, MigInstancesArgs
from components.mig_manager import FreeGpus, MigManagerArgs, MigManagerLabel
from components.network import Network, NetworkArgs
from components.node_release import NodeRelease, NodeReleaseArgs
from components.node_removal import removals_of
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

# A stack does not move: ignored so that another location is seen, and refused, and nothing is deleted for it.
stays = pulumi.ResourceOptions(ignore_changes=["location"])
group = ResourceGroup(f"mig-k8s-{pulumi.get_stack()}", location=stack.location, tags=stack.tags, opts=stays)
network = Network("network", NetworkArgs(stack=stack, group=group))
machines = machines_of(stack, network, keys)
access = {name: machine.access for name, machine in machines.items()}
releases = {name: NodeRelease(name, NodeReleaseArgs(access=each)) for name, each in access.items()}
removals_of(stack, machines, group)
managed = {name: MigManagerArgs(wanted=each, access=access[name]) for name, each in stack.mig_manager_layouts.items()}
freed = {name: FreeGpus(name, args, after(releases[name].delivered)).done for name, args in managed.items()}
first, token = stack.nodes[0].name, config.token()
software: dict[str, NodeSoftware] = {}
for node in stack.nodes:  # the first server forms the cluster, so every other machine waits for it
    waits_for = [*([freed[node.name]] if node.name in freed else []), *([software[first].ready] if software else [])]
    sent = NodeSoftwareArgs(plan=node, release=releases[node.name], token=token, digest_key=keys.host_private)
    software[node.name] = NodeSoftware(node.name, sent, after(*waits_for))
ready = [each.ready for each in software.values()]
made = [
    MigInstances(name, MigInstancesArgs(layout=layout, access=access[name]), after(software[name].ready)).made
    for name, layout in stack.host_layouts.items()
]
cluster = Cluster("cluster", ClusterArgs(access=access[first], software=software[first]))
in_cluster = pulumi.ResourceOptions(providers=[cluster.provider], depends_on=[*ready, *made])
operator = GpuOperator("gpu-operator", GpuOperatorArgs(plan=stack.gpu_operator), in_cluster)
labelled = [MigManagerLabel(name, args, after(operator)).done for name, args in managed.items()]
states = [operator.release_digest, *(each.state for each in software.values())]
verification = stack.verification and Verification(
    "verification",
    VerificationArgs(plan=stack.verification, access=access[first], triggers=states),
    after(*ready, *made, operator, *labelled),
)

pulumi.export("addresses", {name: each.address for name, each in access.items()})
pulumi.export("privateAddresses", {name: each.private_address for name, each in access.items()})
pulumi.export("ssh", {name: each.ssh_command for name, each in access.items()})
pulumi.export("knownHosts", {name: each.known_hosts_line for name, each in access.items()})
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("layout", {node.name: node.layout.document() for node in stack.nodes if node.layout})
pulumi.export("verification", verification and verification.report)
