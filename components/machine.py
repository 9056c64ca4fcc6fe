"""A machine in Azure: public address, interface, virtual machine. What runs on it is not its business."""

import base64
from dataclasses import dataclass

import pulumi
import pulumi_azure_native as azure

from components.machine_command import Access
from components.network import Network
from plan import NodePlan, Problems, VmPlan, user_data


@dataclass(frozen=True, kw_only=True)
class SshKeys:
    """Who the machine is, and who the administrator is. Private halves are secret, OpenSSH format."""

    host_private: pulumi.Input[str]
    """The host key the machine presents."""
    host_public: str
    """What every connection is held to, from the first one on."""
    admin_private: pulumi.Input[str] | None
    """The private half of `ssh.publicKey`. None: an SSH agent has it."""


@dataclass(frozen=True, kw_only=True)
class MachineArgs:
    """Inputs of `Machine`."""

    plan: NodePlan
    network: Network
    keys: SshKeys


class Machine(pulumi.ComponentResource):
    """One virtual machine with a static private and a static public address.

    Its custom data is a birth certificate: ignored once the machine lives. A changed `vm.rebuild` replaces the virtual
    machine, the old one first, since name and interface cannot be shared; its addresses stay, its `vm_id` does not.
    """

    access: Access
    """How administrators and remote commands reach this very machine."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mig-k8s:index:Machine", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vm, network = args.plan.vm, args.network
        zones = [vm.zone] if vm.zone else None
        address = azure.network.PublicIPAddress(
            f"{name}-ip",
            resource_group_name=network.resource_group_name,
            location=network.location,
            sku=azure.network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            dns_settings=args.plan.dns_label
            and azure.network.PublicIPAddressDnsSettingsArgs(domain_name_label=args.plan.dns_label),
            zones=zones,
            tags=vm.tags,
            opts=child,
        )
        interface = azure.network.NetworkInterface(
            f"{name}-nic",
            resource_group_name=network.resource_group_name,
            location=network.location,
            ip_configurations=[
                # References by id alone: the argument classes would add defaults of things that are not made here.
                azure.network.NetworkInterfaceIPConfigurationArgs(
                    name="main",
                    subnet={"id": network.subnet_id},
                    private_ip_allocation_method="Static",
                    private_ip_address=args.plan.private_address,
                    public_ip_address={"id": address.id},
                )
            ],
            tags=vm.tags,
            opts=child,
        )
        custom_data = pulumi.Output.all(address.ip_address, args.keys.host_private).apply(
            lambda known: _custom_data(args.plan, known[0], host_private=known[1], host_public=args.keys.host_public)
        )
        machine = azure.compute.VirtualMachine(
            f"{name}-vm",
            vm_name=args.plan.name,
            resource_group_name=network.resource_group_name,
            location=network.location,
            zones=zones,
            hardware_profile=azure.compute.HardwareProfileArgs(vm_size=vm.size),
            os_profile=_os_profile(args.plan, pulumi.Output.secret(custom_data)),
            storage_profile=_storage_profile(vm),
            network_profile=azure.compute.NetworkProfileArgs(
                network_interfaces=[
                    # The interface is a resource of its own: it outlives a rebuild of the machine.
                    azure.compute.NetworkInterfaceReferenceArgs(id=interface.id, primary=True, delete_option="Detach")
                ]
            ),
            security_profile=_security_profile(vm),
            diagnostics_profile=azure.compute.DiagnosticsProfileArgs(
                boot_diagnostics=azure.compute.BootDiagnosticsArgs(enabled=True)
            ),
            priority="Spot" if vm.spot else "Regular",
            eviction_policy=vm.spot and vm.spot.eviction_policy,
            billing_profile=vm.spot and azure.compute.BillingProfileArgs(max_price=vm.spot.max_price),
            tags=vm.tags,
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    ignore_changes=["osProfile.customData"], replacement_trigger=vm.rebuild, delete_before_replace=True
                ),
            ),
        )
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
                target_resource_id=machine.id,
                notification_settings=azure.devtestlab.NotificationSettingsArgs(status="Disabled"),
                tags=vm.tags,
                opts=child,
            )
        self.access = Access(
            address=address.ip_address,
            user=vm.admin_username,
            host_key=args.keys.host_public,
            private_key=args.keys.admin_private,
            agent_socket_path=vm.agent_socket_path,
            vm_id=machine.vm_id,
        )
        self.register_outputs({"address": address.ip_address, "vm_id": machine.vm_id})


def _custom_data(plan: NodePlan, public_address: str, *, host_private: str, host_public: str) -> str:
    """The user-data as Azure takes it, base64."""
    try:
        document = user_data(
            plan, public_address=public_address, host_private_key=host_private, host_public_key=host_public
        )
    except Problems as problems:
        raise pulumi.RunError(str(problems)) from None
    return base64.b64encode(document.encode()).decode()


def _os_profile(plan: NodePlan, custom_data: pulumi.Input[str]) -> azure.compute.OSProfileArgs:
    vm = plan.vm
    return azure.compute.OSProfileArgs(
        computer_name=plan.name,
        admin_username=vm.admin_username,
        custom_data=custom_data,
        linux_configuration=azure.compute.LinuxConfigurationArgs(
            disable_password_authentication=True,
            ssh=azure.compute.SshConfigurationArgs(
                public_keys=[
                    azure.compute.SshPublicKeyArgs(
                        path=f"/home/{vm.admin_username}/.ssh/authorized_keys", key_data=vm.public_key
                    )
                ]
            ),
            # Azure must never choose the hour of a reboot: MIG instances do not survive one.
            patch_settings=azure.compute.LinuxPatchSettingsArgs(patch_mode="ImageDefault"),
        ),
    )


def _storage_profile(vm: VmPlan) -> azure.compute.StorageProfileArgs:
    return azure.compute.StorageProfileArgs(
        image_reference=azure.compute.ImageReferenceArgs(
            publisher=vm.image.publisher, offer=vm.image.offer, sku=vm.image.sku, version=vm.image.version
        ),
        os_disk=azure.compute.OSDiskArgs(
            create_option="FromImage",
            disk_size_gb=vm.os_disk_gib,
            managed_disk=azure.compute.ManagedDiskParametersArgs(storage_account_type=vm.os_disk_type),
            # Left unset, every rebuild would leave a disk behind that costs money.
            delete_option="Delete",
        ),
    )


def _security_profile(vm: VmPlan) -> azure.compute.SecurityProfileArgs | None:
    """Trusted launch with secure boot and a virtual TPM; None is Azure's way to say standard security."""
    if vm.security_type == "Standard":
        return None
    return azure.compute.SecurityProfileArgs(
        security_type=vm.security_type,
        uefi_settings=azure.compute.UefiSettingsArgs(secure_boot_enabled=True, v_tpm_enabled=True),
    )
