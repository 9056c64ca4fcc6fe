"""A virtual machine's profiles, as Azure takes them."""

import pulumi
import pulumi_azure_native as azure

from plan import NodePlan, VmPlan


def os_profile(plan: NodePlan, custom_data: pulumi.Input[str]) -> azure.compute.OSProfileArgs:
    """Name, administrator and user-data."""
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


def storage_profile(vm: VmPlan) -> azure.compute.StorageProfileArgs:
    """Image and disk."""
    return azure.compute.StorageProfileArgs(
        image_reference=azure.compute.ImageReferenceArgs(**vm.image.reference),
        os_disk=azure.compute.OSDiskArgs(
            create_option="FromImage",
            disk_size_gb=vm.os_disk_gib,
            managed_disk=azure.compute.ManagedDiskParametersArgs(storage_account_type=vm.os_disk_type),
            # Left unset, every rebuild would leave a disk behind that costs money.
            delete_option="Delete",
        ),
    )


def security_profile(vm: VmPlan) -> azure.compute.SecurityProfileArgs | None:
    """Trusted launch with secure boot and a virtual TPM; None is Azure's way to say standard security."""
    if vm.security_type == "Standard":
        return None
    return azure.compute.SecurityProfileArgs(
        security_type=vm.security_type,
        uefi_settings=azure.compute.UefiSettingsArgs(secure_boot_enabled=True, v_tpm_enabled=True),
    )
