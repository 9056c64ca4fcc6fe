"""Components are classes, not singletons: two of each live in one program."""

import json

import pulumi
import pytest
from pulumi_azure_native.resources import ResourceGroup

from components.cluster import Cluster, ClusterArgs
from components.gpu_operator import GpuOperator, GpuOperatorArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.machine import Machine, MachineArgs, SshKeys
from components.machine_command import after
from components.mig_instances import MigInstances, MigInstancesArgs
from components.network import Network, NetworkArgs
from components.node_release import NodeRelease, NodeReleaseArgs
from components.node_software import NodeSoftware, NodeSoftwareArgs
from components.verification import Verification, VerificationArgs
from plan import HostKey, HostKeys, StackPlan, kept_by_machine, plan_stack, read_settings
from recording import Graph, run_program
from stacks import ADMIN_PRIVATE_KEY, HOST_PRIVATE_KEY, stack_file


def stack() -> StackPlan:
    config = stack_file("Pulumi.dev.yaml")
    values = {key.removeprefix("mig-k8s:"): value for key, value in config.items() if key.startswith("mig-k8s:")}
    secrets = {"sshPrivateKey", "sshHostKey", "rke2Token"}
    return plan_stack(read_settings(values, location=config["azure-native:location"], secrets=secrets))


def one_of_each(name: str, plan: StackPlan, group: ResourceGroup) -> None:
    node = plan.nodes[0]
    keys = SshKeys(
        hosts=HostKeys(HostKey.given(HOST_PRIVATE_KEY)),
        digest_key=pulumi.Output.secret(HOST_PRIVATE_KEY),
        admin_private=pulumi.Output.secret(ADMIN_PRIVATE_KEY),
    )
    network = Network(name, NetworkArgs(stack=plan, group=group))
    kept = kept_by_machine(plan, node)
    machine = Machine(name, MachineArgs(plan=node, network=network, keys=keys, kept=kept, protected=plan.protected))
    machine.boot(pulumi.ResourceOptions())
    access = machine.access
    release = NodeRelease(name, NodeReleaseArgs(access=access))
    args = NodeSoftwareArgs(
        plan=node, release=release, token="shared", digest_key=keys.digest_key, host_keys=(), servers=[]
    )
    software = NodeSoftware(name, args)
    MigInstances(name, MigInstancesArgs(layout=plan.host_layouts[node.name], access=access), after(software.ready))
    cluster = Cluster(name, ClusterArgs(stack=plan, access=access, software=software, identity=access.vm_id))
    servers = {node.name: access.private_address}
    LoadBalancer(name, LoadBalancerArgs(group_id="/groups/group", network=network, servers=servers, tags={}))
    inside = pulumi.ResourceOptions(providers=[cluster.provider])
    operator = GpuOperator(name, GpuOperatorArgs(plan=plan.gpu_operator, cluster=access), inside)
    assert plan.verification
    proof = VerificationArgs(plan=plan.verification, access=access, machines={name: access}, triggers=[])
    Verification(name, proof, after(operator))


@pytest.fixture(scope="module")
def both() -> Graph:
    plan = stack()

    def program() -> None:
        group = ResourceGroup("group", location=plan.location)
        for name in ("east", "west"):
            one_of_each(name, plan, group)

    return run_program(program)


def test_a_second_one_of_each_component_meets_the_first_nowhere(both: Graph) -> None:
    east = [each.urn for each in both.resources if "east" in each.name]
    west = [each.urn for each in both.resources if "west" in each.name]
    assert len(east) == len(west) == 9 + 20
    assert sorted(urn.replace("west", "east") for urn in west) == sorted(east)


def test_every_child_has_its_components_name_and_has_it_as_its_parent(both: Graph) -> None:
    components = {each.urn: each for each in both.resources if each.type.startswith("mig-k8s:")}
    for child in both.resources:
        if child.urn not in components and child.name != "group":
            parent = components[child.request.parent]
            assert child.name.startswith(f"{parent.name}-"), child.name


def test_nothing_of_one_cluster_goes_into_the_other(both: Graph) -> None:
    for resource in both.resources:
        if "west" in resource.name:
            assert "east" not in json.dumps(resource.inputs), resource.name
            assert "east" not in resource.request.provider, resource.name
