"""The plan of a whole stack, from its settings."""

from dataclasses import dataclass, replace

from machine.documents import layout as document
from machine.documents.expectations import Expectations
from machine.documents.layout import GpuLayout
from machine.documents.mig_manager_layout import MigManagerLayout
from plan.cluster.expectations import expected_nodes
from plan.cluster.gpu_operator import GpuOperatorPlan, gpu_operator_plan, value_at
from plan.cluster.mig_manager_layout import mig_manager_layout
from plan.cluster.node_removal import NodeRemovalPlan, node_removals
from plan.cluster.sharing import Sharing, sharing
from plan.gpu.layout import Layout
from plan.gpu.nearest import refusal, written
from plan.gpu.placement import best_placement
from plan.machine.node import AutoShutdownPlan, ImagePlan, NodePlan, SpotPlan, VmPlan, layout_document
from plan.machine.user_data import refuse_too_large
from plan.problems import Problem, Problems
from plan.rules.warnings import warnings
from plan.stack_file.node_pool import NodePool
from plan.stack_file.settings import Settings
from plan.stack_file.values import images
from plan.stack_file.values.addresses import merged

VERIFY_NAMESPACE = "mig-k8s-verify"
_LEAST_BALANCED = 3
"""So many servers go on without one of them (etcd's quorum), so their one address must not belong to a machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkPlan:
    """Address ranges, who may come in, and the public DNS label."""

    cidr: str
    subnet_cidr: str
    admin_cidrs: tuple[str, ...]
    dns_label: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationPlan:
    """The proof at the end: what `mig-k8s verify` must find and how long it may take."""

    expectations: Expectations
    timeout_seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StackPlan:
    """Everything a stack is, decided before anything is made."""

    location: str
    tags: dict[str, str]
    network: NetworkPlan
    nodes: tuple[NodePlan, ...]
    other_names: dict[str, str]
    """The first machine of each pool → the name that another version, or `firstMachine`, has for it."""
    gpu_operator: GpuOperatorPlan
    verification: VerificationPlan | None
    mig_owner: str
    mig_strategy: str
    sharing: Sharing
    host_layouts: dict[str, document.Layout]
    """By machine: the layout that the machine itself makes, as it is told."""
    mig_manager_layouts: dict[str, MigManagerLayout]
    """By machine: the layout that MIG Manager makes there, as the machine is told."""
    node_removals: dict[str, NodeRemovalPlan]
    """By machine: what is run when it goes from the stack file, or is rebuilt."""
    agents_at_once: int | None
    """How many agents may be out at once for a change; None without an agent."""
    founds_with_every_machine: bool
    """Whether another machine in the place of the first one founds another cluster: there is one server, and its
    cluster may be lost. Otherwise a stack founds once."""
    protected: bool
    """Whether the engine refuses to delete a machine or to make it anew."""
    warnings: tuple[Problem, ...]
    """What its author should know though nothing is refused for it."""
    settings: Settings
    """What the stack file says, for a comparison with another."""

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of the servers."""
        return tuple(node.name for node in self.nodes if node.role == "server")

    @property
    def in_turn(self) -> tuple[NodePlan, ...]:
        """All machines in the order in which they are rebuilt: servers, then agents."""
        return tuple(sorted(self.nodes, key=lambda node: node.role != "server"))

    @property
    def balanced_servers(self) -> tuple[str, ...]:
        """The servers behind one load balancer; none where there are too few to lose one."""
        return self.servers if len(self.servers) >= _LEAST_BALANCED else ()


def plan_stack(settings: Settings) -> StackPlan:
    """The plan of a stack. Raises Problems when a layout does not fit, or the user-data of a machine is too large."""
    network = settings.network
    nodes = _nodes(settings)
    for node in {node.pool: node for node in nodes}.values():  # the machines of a pool differ by a few bytes
        refuse_too_large(node)
    operator = gpu_operator_plan(settings, nodes)
    return StackPlan(
        location=settings.location,
        tags=dict(settings.vm.tags),
        network=NetworkPlan(
            cidr=network.cidr,
            subnet_cidr=network.subnet_cidr,
            admin_cidrs=merged(settings.admin_cidrs),
            dns_label=network.dns_label,
        ),
        nodes=nodes,
        other_names=_other_names(settings),
        gpu_operator=operator,
        verification=_verification(settings, nodes) if settings.verify.enabled else None,
        mig_owner=settings.mig.owner,
        mig_strategy=settings.mig.strategy,
        sharing=_sharing(settings),
        host_layouts={node.name: layout_document(node) for node in nodes if node.mig_owner == "host"},
        mig_manager_layouts={
            node.name: mig_manager_layout(node, operator) for node in nodes if node.mig_owner == "operator"
        },
        node_removals=node_removals(nodes, cluster_may_be_lost=settings.cluster_may_be_lost),
        agents_at_once=_agents_at_once(settings),
        founds_with_every_machine=settings.cluster_may_be_lost and [node.role for node in nodes].count("server") == 1,
        protected=settings.vm.protect,
        warnings=warnings(settings),
        settings=settings,
    )


def _nodes(settings: Settings) -> tuple[NodePlan, ...]:
    vm = settings.vm
    nodes: list[NodePlan] = []
    for pool_index, pool in enumerate(settings.node_pools):
        layout = _pool_layout(pool, pool_index)
        vm_plan = VmPlan(
            size=pool.vm_size,
            image=ImagePlan(name=vm.image, reference=images.reference(vm.image)),
            admin_username=vm.admin_username,
            public_key=settings.ssh.public_key,
            other_public_keys=settings.ssh.other_public_keys,
            agent_socket_path=settings.ssh.agent_socket_path,
            os_disk_gib=vm.os_disk.size_gib,
            os_disk_type=vm.os_disk.type,
            security_type=vm.security_type,
            zone=vm.zone,
            spot=SpotPlan(max_price=vm.spot.max_price, eviction_policy=vm.spot.eviction_policy) if vm.spot else None,
            auto_shutdown=AutoShutdownPlan(time=vm.auto_shutdown.time, time_zone=vm.auto_shutdown.time_zone)
            if vm.auto_shutdown
            else None,
            rebuild="",
            tags=dict(vm.tags),
        )
        for name in pool.machine_names:
            first = not nodes
            nodes.append(
                NodePlan(
                    name=name,
                    pool=pool.name,
                    role=pool.role,
                    vm=replace(vm_plan, rebuild=settings.rebuild.get(name, "")),
                    labels=dict(pool.node_labels),
                    taints=pool.node_taints,
                    layout=layout,
                    mig_owner=settings.mig.owner if layout else None,
                    on_change=settings.mig.on_change,
                    own_namespaces=("kube-system", settings.gpu_operator.namespace),
                    driver=settings.driver if layout else None,
                    toolkit=settings.toolkit if layout else None,
                    rke2=settings.rke2,
                    network=settings.network,
                    sources=settings.sources,
                    dns_label=settings.network.dns_label if first else None,
                )
            )
    return tuple(nodes)


def _agents_at_once(settings: Settings) -> int | None:
    agents = sum(pool.count for pool in settings.node_pools if pool.role == "agent")
    return settings.rollout.out_of(agents) if agents else None


def _other_names(settings: Settings) -> dict[str, str]:
    taken = {name for pool in settings.node_pools for name in pool.machine_names}
    return {
        pool.machine_names[0]: other
        for pool in settings.node_pools
        for other in pool.names_of_the_first
        if other not in taken
    }


def _pool_layout(pool: NodePool, pool_index: int) -> Layout | None:
    model = pool.size.gpu
    if model is None:
        return None
    gpus = []
    for index in range(pool.size.gpu_count):
        wanted = pool.wanted(index)
        instances = best_placement(model, wanted or {})
        if instances is None:
            path = f"mig-k8s:nodePools[{pool_index}].migDevices"
            raise Problems([refusal(model, wanted or {}).at(path, written(wanted or {}))])
        gpus.append(GpuLayout(index=index, mode=wanted is not None, instances=instances))
    return Layout(model=model, gpus=tuple(gpus))


def _sharing(settings: Settings) -> Sharing:
    return sharing(value_at(settings.gpu_operator.values, ("devicePlugin", "config")))


def _verification(settings: Settings, nodes: tuple[NodePlan, ...]) -> VerificationPlan:
    timeout = settings.verify.timeout_minutes * 60
    expectations = Expectations(
        image=settings.verify.image,
        timeout_seconds=timeout,
        namespace=VERIFY_NAMESPACE,
        nodes=expected_nodes(nodes, settings.mig.strategy, _sharing(settings)),
        operator_namespace=settings.gpu_operator.namespace,
        rke2_version=settings.rke2.version,
        device_list_from_environment=settings.toolkit.device_list_from_environment,
    )
    return VerificationPlan(expectations=expectations, timeout_seconds=timeout)
