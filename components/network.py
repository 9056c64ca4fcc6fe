"""The network of a stack: only administrators come in, and only to SSH and the Kubernetes API."""

from dataclasses import dataclass

import pulumi
import pulumi_azure_native as azure

from components.memory import Memory
from plan import LOCATION, StackPlan, kept_by_stack

SSH_PORT, KUBERNETES_API_PORT = 22, 6443
_SSH = ("ssh", 100, str(SSH_PORT))
_KUBERNETES_API = ("kubernetes-api", 110, str(KUBERNETES_API_PORT))
_LAST_PRIORITY = 4096


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Inputs of `Network`."""

    stack: StackPlan
    group: azure.resources.ResourceGroup
    """Where everything is; its location is the stack's for life."""


class Network(pulumi.ComponentResource):
    """A virtual network with one subnet, and the security group on that subnet.

    Azure gives no outbound access by default here: a machine goes out through its own public address or not at all.
    """

    resource_group_name: pulumi.Input[str]
    location: pulumi.Output[str]
    """The stack's location. Whatever uses it waits for the check of what the stack keeps for life."""
    virtual_network_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    """ARM id of the subnet the machines' interfaces join."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Network", name, None, opts)
        self._group, stack = args.group, args.stack
        child = self.child_of(self)
        self.resource_group_name = args.group.name
        seen = {LOCATION: args.group.location}
        memory = Memory(name, kept_by_stack(stack), who="the stack", made=args.group, parent=self, seen=seen)
        self.location = memory.checked(args.group.location)
        security_group = azure.network.NetworkSecurityGroup(
            f"{name}-nsg",
            resource_group_name=self.resource_group_name,
            location=self.location,
            security_rules=_inbound_rules(stack),
            tags=stack.tags,
            opts=child,
        )
        vnet = azure.network.VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=self.resource_group_name,
            location=self.location,
            address_space=azure.network.AddressSpaceArgs(address_prefixes=[stack.network.cidr]),
            tags=stack.tags,
            opts=child,
        )
        subnet = azure.network.Subnet(
            f"{name}-subnet",
            resource_group_name=self.resource_group_name,
            virtual_network_name=vnet.name,
            address_prefix=stack.network.subnet_cidr,
            default_outbound_access=False,
            network_security_group={"id": security_group.id},
            opts=child,
        )
        self.virtual_network_id, self.subnet_id = vnet.id, subnet.id
        self.register_outputs({"subnet_id": self.subnet_id})

    def child_of(self, component: pulumi.ComponentResource) -> pulumi.ResourceOptions:
        """Options of whatever Azure has in the group: it goes with the group, when the whole stack is destroyed.

        Azure then takes everything along at once, also what a killed command made and nobody noted.
        """
        return pulumi.ResourceOptions(parent=component, deleted_with=self._group)

    def public_address(
        self,
        name: str,
        *,
        tags: dict[str, str],
        zones: list[str] | None = None,
        dns_label: str | None = None,
        opts: pulumi.ResourceOptions,
    ) -> azure.network.PublicIPAddress:
        """A Standard public address, which nobody else gets as long as it is there."""
        return azure.network.PublicIPAddress(
            name,
            resource_group_name=self.resource_group_name,
            location=self.location,
            sku=azure.network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            dns_settings=dns_label and azure.network.PublicIPAddressDnsSettingsArgs(domain_name_label=dns_label),
            zones=zones,
            tags=tags,
            opts=opts,
        )


def _inbound_rules(stack: StackPlan) -> list[azure.network.SecurityRuleArgs]:
    """Administrators to the two ports, the machines of a cluster to each other, nobody else to anything."""
    return [
        *(
            _inbound(name, priority, source=list(stack.network.admin_cidrs), port=port)
            for name, priority, port in (_SSH, _KUBERNETES_API)
        ),
        # Of the subnet, where nothing else is, and for one machine too: those that leave need it to the end.
        # etcd, RKE2's supervisor, the kubelets and the pod network.
        _inbound("machines", 200, source=stack.network.subnet_cidr, protocol="*", to=stack.network.subnet_cidr),
        # The load balancer's probes come from an address of Azure's; without them it takes every server for dead.
        _inbound("load-balancer-probes", 210, source="AzureLoadBalancer", port=str(KUBERNETES_API_PORT)),
        # Azure's own last rules let in the whole virtual network and its load balancer; this one comes before them.
        _inbound("deny-all", _LAST_PRIORITY, access="Deny", protocol="*", source="*"),
    ]


def _inbound(  # noqa: PLR0913 - each is one property of the rule
    name: str,
    priority: int,
    *,
    source: str | list[str],
    access: str = "Allow",
    protocol: str = "Tcp",
    to: str = "*",
    port: str = "*",
) -> azure.network.SecurityRuleArgs:
    """A rule on what comes in: a list of sources are address ranges, a text is one, a service tag of Azure's or `*`."""
    return azure.network.SecurityRuleArgs(
        name=name,
        priority=priority,
        direction="Inbound",
        access=access,
        protocol=protocol,
        source_address_prefix=source if isinstance(source, str) else None,
        source_address_prefixes=None if isinstance(source, str) else source,
        source_port_range="*",
        destination_address_prefix=to,
        destination_port_range=port,
    )
