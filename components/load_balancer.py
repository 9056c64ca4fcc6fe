"""The one address of several servers, whichever of them lives: for the Kubernetes API, and to get in by SSH."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_azure_native as azure

from components.network import KUBERNETES_API_PORT, SSH_PORT, Network

_NAME = "api"
"""The load balancer's, its frontend's and its probe's, in the stack's own resource group."""
_POOL = "servers"
_PROBE_SECONDS = 5
"""Azure's least."""
_PROBE_FAILURES = 2


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """Inputs of `LoadBalancer`."""

    network: Network
    group_id: pulumi.Input[str]
    """ARM id of the network's resource group."""
    servers: Mapping[str, pulumi.Output[str]]
    """The private address of every server of the stack, by its name."""
    tags: Mapping[str, str]


class LoadBalancer(pulumi.ComponentResource):
    """Azure's Standard load balancer with a public address.

    The machines behind it are named by their private addresses, not by their interfaces: a server that comes or goes
    changes nothing of another machine. A server counts as alive when its API answers a TCP connection.
    """

    address: pulumi.Output[str]
    """Public IPv4 address; stays as long as the stack has so many servers."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:LoadBalancer", name, None, opts)
        network, tags = args.network, dict(args.tags)
        child = network.child_of(self)
        address = network.public_address(f"{name}-ip", tags=tags, opts=child)
        own = pulumi.Output.concat(args.group_id, f"/providers/Microsoft.Network/loadBalancers/{_NAME}")

        def part(kind: str, part_name: str) -> azure.network.SubResourceArgs:
            return azure.network.SubResourceArgs(id=pulumi.Output.concat(own, f"/{kind}/{part_name}"))

        balancer = azure.network.LoadBalancer(
            f"{name}-lb",
            load_balancer_name=_NAME,
            resource_group_name=network.resource_group_name,
            location=network.location,
            sku=azure.network.LoadBalancerSkuArgs(name="Standard"),
            frontend_ip_configurations=[
                azure.network.FrontendIPConfigurationArgs(name=_NAME, public_ip_address={"id": address.id})
            ],
            backend_address_pools=[
                azure.network.BackendAddressPoolArgs(
                    name=_POOL,
                    load_balancer_backend_addresses=[
                        azure.network.LoadBalancerBackendAddressArgs(
                            name=server,
                            ip_address=private_address,
                            virtual_network=azure.network.SubResourceArgs(id=network.virtual_network_id),
                        )
                        for server, private_address in args.servers.items()
                    ],
                )
            ],
            probes=[
                azure.network.ProbeArgs(
                    name=_NAME,
                    protocol="Tcp",
                    port=KUBERNETES_API_PORT,
                    interval_in_seconds=_PROBE_SECONDS,
                    probe_threshold=_PROBE_FAILURES,
                )
            ],
            load_balancing_rules=[
                azure.network.LoadBalancingRuleArgs(
                    name=rule,
                    protocol="Tcp",
                    frontend_port=port,
                    backend_port=port,
                    frontend_ip_configuration=part("frontendIPConfigurations", _NAME),
                    backend_address_pool=part("backendAddressPools", _POOL),
                    probe=part("probes", _NAME),
                    enable_tcp_reset=True,
                    idle_timeout_in_minutes=30,
                    # The servers go out through public addresses of their own.
                    disable_outbound_snat=True,
                )
                for rule, port in (("kubernetes-api", KUBERNETES_API_PORT), ("ssh", SSH_PORT))
            ],
            tags=tags,
            opts=child,
        )
        # What dials the address waits for the resources that make it answer.
        self.address = pulumi.Output.all(address.ip_address, balancer.id).apply(lambda known: known[0])
        self.register_outputs({"address": self.address})
