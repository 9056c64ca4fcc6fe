"""A machine in Azure: public address, interface, virtual machine. What runs on it is declared elsewhere."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pulumi
import pulumi_azure_native as azure

from components import power, vm_profiles
from components.machine_command import Access, Login
from components.memory import Memory
from components.network import Network
from plan import Addresses, HostKey, HostKeys, NodePlan, Problems, StackPlan, kept_by_machine, user_data

_Value = TypeVar("_Value")
_CHOSEN_ONCE = ["ipConfigurations[0].privateIPAddress", "ipConfigurations[0].privateIPAllocationMethod"]
"""How an interface came to its private address. Those of older stacks were given one and keep it."""
_FIRST_KEYS = "osProfile.linuxConfiguration.ssh.publicKeys"
"""Who was let in when the machine was made. Azure never changes it; the machine itself does (ADR 0030)."""
_KEPT_NAMES = ["vmName", "osProfile.computerName"]
"""A machine cannot be renamed. Ignored so that one of another name is seen, and refused, and not replaced."""


@dataclass(frozen=True, kw_only=True)
class SshKeys:
    """The SSH keys of the machines and of the administrator."""

    hosts: HostKeys
    """The host keys that machines show, and that every connection is checked against, from the first one on. Their
    private halves are secret."""
    digest_key: pulumi.Input[str]
    """The key of the digests of other secrets. Secret."""
    admin_private: pulumi.Input[str] | None
    """The private half of `ssh.publicKey`. None: an SSH agent has it."""


@dataclass(frozen=True, kw_only=True)
class MachineArgs:
    """Inputs of `Machine`."""

    plan: NodePlan
    network: Network
    keys: SshKeys
    kept: Mapping[str, str]
    """The values that it keeps for life, by key of the stack file."""
    protected: bool
    """Whether the engine refuses to delete its virtual machine or to make it anew."""
    other_name: str | None = None
    """The name under which the state may have this machine."""


class Machine(pulumi.ComponentResource):
    """A public and a private address that stay as long as the interface does; and a virtual machine, by `boot`.

    Its custom data is read at its first boot and ignored once the machine lives. A changed `plan.vm.rebuild` replaces
    the virtual machine, the old one first, since name and interface cannot be shared; its addresses stay, its `vm_id`
    does not.
    """

    login: Login
    """How the machine at these addresses is reached."""
    access: Access
    """How administrators and remote commands reach this very machine. There is none before `boot`."""
    planned_name: pulumi.Output[str]
    """Its name. Whatever uses this comes only to a machine that has the name of its plan in Azure too, and what it
    keeps for life as the plan says."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        aliases = [pulumi.Alias(name=args.other_name)] if args.other_name else []
        own = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=aliases))
        super().__init__("mig-k8s:index:Machine", name, None, own)
        self._name, self._args, self._child = name, args, args.network.child_of(self)
        child, vm, network = self._child, args.plan.vm, args.network
        address = network.public_address(
            f"{name}-ip", tags=vm.tags, zones=_zones(args.plan), dns_label=args.plan.dns_label, opts=child
        )
        self._interface = azure.network.NetworkInterface(
            f"{name}-nic",
            resource_group_name=network.resource_group_name,
            location=network.location,
            ip_configurations=[
                # References by id alone: the argument classes would add defaults of things that are not made here.
                azure.network.NetworkInterfaceIPConfigurationArgs(
                    name="main",
                    subnet={"id": network.subnet_id},
                    private_ip_allocation_method="Dynamic",
                    public_ip_address={"id": address.id},
                )
            ],
            tags=vm.tags,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=_CHOSEN_ONCE)),
        )
        private_address = self._interface.ip_configurations.apply(_private_address)
        addresses = pulumi.Output.all(address.ip_address, private_address).apply(
            lambda known: Addresses(public=known[0], private=known[1])
        )
        self.login = Login(
            address=address.ip_address,
            user=vm.admin_username,
            host_key=args.keys.hosts.own(args.plan.name).public,
            known_host_keys=tuple(args.keys.hosts.known(args.plan.name)),
            private_key=args.keys.admin_private,
            agent_socket_path=vm.agent_socket_path,
            addresses=addresses,
        )

    def boot(self, opts: pulumi.ResourceOptions) -> None:
        """The virtual machine itself. It has to be asked for once; `opts` say what it waits for."""
        args, child = self._args, self._child
        name, vm, network = self._name, args.plan.vm, args.network
        host_key = args.keys.hosts.own(args.plan.name)
        custom_data = self.login.addresses.apply(lambda known: _custom_data(args.plan, known, host_key))
        machine = azure.compute.VirtualMachine(
            f"{name}-vm",
            vm_name=args.plan.name,
            resource_group_name=network.resource_group_name,
            location=network.location,
            zones=_zones(args.plan),
            hardware_profile=azure.compute.HardwareProfileArgs(vm_size=vm.size),
            os_profile=vm_profiles.os_profile(args.plan, pulumi.Output.secret(custom_data)),
            storage_profile=vm_profiles.storage_profile(vm),
            network_profile=azure.compute.NetworkProfileArgs(
                network_interfaces=[
                    # The interface is a resource of its own: it outlives a rebuild of the machine.
                    azure.compute.NetworkInterfaceReferenceArgs(
                        id=self._interface.id, primary=True, delete_option="Detach"
                    )
                ]
            ),
            security_profile=vm_profiles.security_profile(vm),
            diagnostics_profile=azure.compute.DiagnosticsProfileArgs(
                boot_diagnostics=azure.compute.BootDiagnosticsArgs(enabled=True)
            ),
            priority="Spot" if vm.spot else "Regular",
            eviction_policy=vm.spot and vm.spot.eviction_policy,
            billing_profile=vm.spot and azure.compute.BillingProfileArgs(max_price=vm.spot.max_price),
            tags=vm.tags,
            opts=pulumi.ResourceOptions.merge(
                pulumi.ResourceOptions.merge(child, opts),
                pulumi.ResourceOptions(
                    ignore_changes=["osProfile.customData", _FIRST_KEYS, *_KEPT_NAMES],
                    replacement_trigger=vm.rebuild,
                    delete_before_replace=True,
                    protect=args.protected,
                ),
            ),
        )
        memory = Memory(name, args.kept, who=name, made=machine, parent=self, rebuild=vm.rebuild)

        def checked(value: pulumi.Output[_Value]) -> pulumi.Output[_Value]:
            return memory.checked(_of_planned_name(args.plan, machine, value))

        self.planned_name = checked(machine.name)
        if vm.auto_shutdown:
            azure.devtestlab.GlobalSchedule(
                f"{name}-shutdown",
                # Azure refuses any other name.
                name=f"shutdown-computevm-{args.plan.name}",
                resource_group_name=network.resource_group_name,
                location=network.location,
                task_type="ComputeVmShutdownTask",
                status="Enabled",
                daily_recurrence=azure.devtestlab.DayDetailsArgs(time=vm.auto_shutdown.time),
                time_zone_id=vm.auto_shutdown.time_zone,
                target_resource_id=checked(machine.id),
                notification_settings=azure.devtestlab.NotificationSettingsArgs(status="Disabled"),
                tags=vm.tags,
                opts=child,
            )
        self.access = Access(
            **vars(self.login),
            vm_id=checked(machine.vm_id),
            away=power.away(machine, network.resource_group_name),
            servers=(),
        )
        self.register_outputs({"address": self.login.address, "vm_id": machine.vm_id})


def machines_of(stack: StackPlan, network: Network, keys: SshKeys) -> dict[str, Machine]:
    """Every machine of a stack by its name, with its addresses; none is booted."""
    return {
        node.name: Machine(
            node.name,
            MachineArgs(
                plan=node,
                network=network,
                keys=keys,
                kept=kept_by_machine(stack, node),
                protected=stack.protected,
                other_name=stack.other_names.get(node.name),
            ),
        )
        for node in stack.nodes
    }


def _zones(plan: NodePlan) -> list[str] | None:
    return [plan.vm.zone] if plan.vm.zone else None


def _private_address(settings: list[azure.network.outputs.NetworkInterfaceIPConfigurationResponse]) -> Any:  # noqa: ANN401 - text, or what stands for the unknown
    """The address as text; unknown in a preview whose provider repeats the inputs."""
    address = settings[0].private_ip_address
    if address is None and not pulumi.runtime.is_dry_run():
        raise pulumi.RunError("Azure told no private address of an interface: `pulumi refresh`, then `pulumi up`.")
    return pulumi.UNKNOWN if address is None else address


def _of_planned_name(
    plan: NodePlan, machine: azure.compute.VirtualMachine, value: pulumi.Output[_Value]
) -> pulumi.Output[_Value]:
    """A value of the machine; raises RunError where the machine in Azure has another name than the plan says."""

    def checked(known: list[Any]) -> Any:  # noqa: ANN401 - whatever the value is
        seen, wanted = known
        if seen != plan.name:
            raise pulumi.RunError(
                f"mig-k8s:nodePools: the first machine of pool {plan.pool} is called {seen} in Azure, and {plan.name} "
                "by the stack file. A machine cannot be renamed: it would be deleted, with everything on it, and a new "
                f"one made. Nothing was done to it. To keep it, write `firstMachine: {seen}` in pool {plan.pool}; to "
                "give it up, take its pool out of the stack file for one `pulumi up`."
            )
        return wanted

    return pulumi.Output.all(machine.name, value).apply(checked)


def _custom_data(plan: NodePlan, addresses: Addresses, host_key: HostKey) -> str:
    """The user-data as Azure takes it, base64."""
    try:
        document = user_data(plan, addresses, host_key)
    except Problems as problems:
        raise pulumi.RunError(str(problems)) from None
    return base64.b64encode(document).decode()
