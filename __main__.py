"""mig-k8s: from a stack file to Kubernetes on Azure GPU machines with exactly the MIG devices it asks for."""

import pulumi
from pulumi_azure_native.resources import ResourceGroup

from components.cluster import Cluster, ClusterArgs
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.machine_command import after
from components.mig_instances import MigInstances, MigInstancesArgs
from components.mig_manager import MigManagerLabel
from components.network import Network, NetworkArgs
from components.nodes import NodesArgs, nodes_of
from components.verification import Verification, VerificationArgs, fail_for_away
from plan import Problems, plan_stack, read_settings, warning_report
from stack_config import stack_config

config = stack_config()
try:
    stack = plan_stack(read_settings(config.values, location=config.location, secrets=config.secret_keys))
    keys = config.ssh_keys(stack.settings.ssh.public_key)
except Problems as problems:
    raise pulumi.RunError(str(problems)) from None
if stack.warnings:
    pulumi.log.warn(warning_report(stack.warnings))

# A stack cannot move. The engine ignores the location, so that a changed one is refused and nothing is deleted for it.
stays = pulumi.ResourceOptions(ignore_changes=["location"])
group = ResourceGroup(f"mig-k8s-{pulumi.get_stack()}", location=stack.location, tags=stack.tags, opts=stays)
network = Network("network", NetworkArgs(stack=stack, group=group))
nodes = nodes_of(NodesArgs(stack=stack, network=network, keys=keys, token=config.token(), group=group))
access, software, way_in, first = nodes.access, nodes.software, nodes.way_in, stack.servers[0]
ready = [each.ready for each in software.values()]
made = [
    MigInstances(name, MigInstancesArgs(layout=layout, access=access[name]), after(software[name].ready)).made
    for name, layout in stack.host_layouts.items()
]
cluster = Cluster("cluster", ClusterArgs(stack=stack, access=way_in, software=software[first], identity=nodes.cluster))
in_cluster = pulumi.ResourceOptions(providers=[cluster.provider], depends_on=[*ready, *made])
operator = GpuOperator("gpu-operator", GpuOperatorArgs(plan=stack.gpu_operator, cluster=way_in), in_cluster)
labelled = [MigManagerLabel(name, args, after(operator)).done for name, args in nodes.managed.items()]
states = [operator.release_digest, *(software[node.name].state for node in stack.nodes)]
verification = stack.verification and Verification(
    "verification",
    VerificationArgs(plan=stack.verification, access=way_in, machines=access, triggers=states),
    after(*ready, *made, operator, *labelled),
)
done = [*ready, *made, operator, *labelled, *([verification] if verification else [])]
fail_for_away(access, verified=way_in if verification else None, done=done)

pulumi.export("addresses", {name: each.address for name, each in access.items()})
pulumi.export("privateAddresses", {name: each.private_address for name, each in access.items()})
pulumi.export("ssh", {name: each.ssh_command for name, each in access.items()})
pulumi.export("knownHosts", {name: each.known_hosts_lines for name, each in access.items()})
pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("layout", {node.name: node.layout.document() for node in stack.nodes if node.layout})
pulumi.export("verification", verification and verification.report)
