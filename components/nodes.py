"""Every machine of a stack and what runs on it up to its place in the cluster, and in which order that happens."""

from dataclasses import dataclass, field, replace

import pulumi
from pulumi_azure_native.resources import ResourceGroup

from components.founding import Founding, FoundingArgs
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.machine import Machine, SshKeys, machines_of
from components.machine_command import Access, Login, after
from components.mig_manager import FreeGpus, MigManagerArgs
from components.network import Network
from components.node_release import NodeRelease, NodeReleaseArgs
from components.node_removal import NodeRemoval, NodeRemovalArgs
from components.node_software import NodeSoftware, NodeSoftwareArgs
from components.rollout import Rollout, RolloutArgs
from machine.documents.expectations import Away
from plan import NodePlan, StackPlan


@dataclass(frozen=True, kw_only=True)
class NodesArgs:
    """Inputs of `Nodes`."""

    stack: StackPlan
    network: Network
    keys: SshKeys
    token: pulumi.Input[str]
    """The cluster's server token. Secret."""
    group: ResourceGroup
    """Where everything is, and what is deleted when the whole stack is."""


@dataclass(frozen=True)
class Nodes:
    """Agents boot side by side, and a server beside the software of the one before it. The first server may found the
    cluster; the others come to their state one after the other, so that never two of them restart at once, and agents
    after all of them. They leave in the opposite order: agents, then servers, each when the machine of the one before
    it is gone.
    """

    args: NodesArgs
    machines: dict[str, Machine]
    to_servers: Login
    """The way to a server, whichever lives: by the load balancer where there is one, else to the first one."""
    access: dict[str, Access] = field(default_factory=dict)
    software: dict[str, NodeSoftware] = field(default_factory=dict)
    managed: dict[str, MigManagerArgs] = field(default_factory=dict)
    """The inputs of MIG Manager's commands, by machine whose instances it makes."""
    founding: list[Founding] = field(default_factory=list)
    rollout: list[Rollout] = field(default_factory=list)
    """The limit of agents that are out at once, where there is an agent."""
    servers: list[pulumi.Output[Away | None]] = field(default_factory=list)
    """Which of the servers does not run, and why; complete when all machines are declared."""
    servers_ready: list[pulumi.Resource] = field(default_factory=list)
    server_removals: list[pulumi.Resource] = field(default_factory=list)
    """The removals of the servers declared so far: they run later than those of machines declared next."""

    @property
    def cluster(self) -> pulumi.Output[str]:
        """What identifies the cluster: it changes with the cluster, and with no machine of it that is rebuilt."""
        return self.founding[0].cluster

    @property
    def way_in(self) -> Access:
        """The way to a server, for what is run there: complete when all machines are declared."""
        stack = self.args.stack
        first = self.access[stack.servers[0]]
        # Nothing can be run only where none of those behind the address lives.
        behind = [self.access[name].away for name in stack.balanced_servers or stack.servers[:1]]
        away = pulumi.Output.all(*behind).apply(lambda known: None if None in known else known[0])
        return replace(first, address=self.to_servers.address, host_key=self.to_servers.host_key, away=away)

    def declare(self, node: NodePlan) -> None:
        """Declare one machine, after all that it waits for."""
        stack, name, machine = self.args.stack, node.name, self.machines[node.name]
        # Of all of them, not of the one before: should that stay, nothing would hold the others in their order.
        stay_longer = [*self.server_removals]
        machine.boot(after(*self._rebuilt_before(name), *(stay_longer if node.role == "server" else ())))
        if node.role == "server":
            self.servers.append(machine.access.away)
        access = self.access[name] = replace(machine.access, servers=self.servers)
        release = NodeRelease(name, NodeReleaseArgs(access=access))
        removal = NodeRemoval(
            name,
            NodeRemovalArgs(
                plan=stack.node_removals[name],
                machine=machine,
                release=release.delivered,
                server=self.to_servers,
                stay_longer=stay_longer,
                cluster=self.args.group,
                protected=stack.protected,
            ),
        )
        if not self.founding:
            founding = FoundingArgs(access=access, with_every_machine=stack.founds_with_every_machine)
            self.founding.append(Founding("cluster", founding, after(release.delivered)))
        waits_for: list[pulumi.Resource] = [removal.rebuild]
        waits_for += self.servers_ready[-1:] or [self.founding[0].permitted]
        limited = [self._limited()] if node.role == "agent" else []
        waits_for += limited
        if name in stack.mig_manager_layouts:
            self.managed[name] = MigManagerArgs(wanted=stack.mig_manager_layouts[name], access=access)
            waits_for.append(FreeGpus(name, self.managed[name], after(release.delivered, *limited)).done)
        sent = NodeSoftwareArgs(
            plan=node,
            release=release,
            token=self.args.token,
            digest_key=self.args.keys.digest_key,
            host_keys=self.args.keys.hosts.shown(name, is_server=node.role == "server"),
            servers=[self.machines[other].login.private_address for other in stack.servers if other != name],
        )
        self.software[name] = NodeSoftware(name, sent, after(*waits_for))
        if node.role == "server":
            self.servers_ready.append(self.software[name].ready)
            self.server_removals.append(removal.removal)

    def _limited(self) -> pulumi.Resource:
        """What lets agents take their turns; declared with the first of them, when all servers are."""
        if not self.rollout:
            assert self.args.stack.agents_at_once is not None  # noqa: S101 - there is an agent
            limit = RolloutArgs(agents_at_once=self.args.stack.agents_at_once, access=self.way_in)
            self.rollout.append(Rollout("rollout", limit, after(*self.servers_ready)))
        return self.rollout[0].limited

    def _rebuilt_before(self, name: str) -> list[pulumi.Resource]:
        """Machines that are rebuilt go one after the other, each when the one before it is back in the cluster."""
        rebuilt = self.args.stack.settings.rebuild
        before = [self.software[other].ready for other in self.software if other in rebuilt]
        return [*before[-1:]] if name in rebuilt else []


def nodes_of(args: NodesArgs) -> Nodes:
    """Declare all machines of a stack: servers, then agents."""
    machines = machines_of(args.stack, args.network, args.keys)
    nodes = Nodes(args, machines, _to_servers(args, machines))
    for node in args.stack.in_turn:
        nodes.declare(node)
    return nodes


def _to_servers(args: NodesArgs, machines: dict[str, Machine]) -> Login:
    """The way to any of the servers, which all have the same user and share one host key."""
    stack = args.stack
    first = machines[stack.servers[0]].login
    servers = {name: machines[name].login.private_address for name in stack.balanced_servers}
    if not servers:
        return first
    balancer = LoadBalancerArgs(network=args.network, group_id=args.group.id, servers=servers, tags=stack.tags)
    host_key = args.keys.hosts.of_servers().public
    return replace(first, address=LoadBalancer("api", balancer).address, host_key=host_key, known_host_keys=(host_key,))
