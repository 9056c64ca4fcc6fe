"""The virtual machine and what belongs to it in Azure."""

import base64
import gzip

import yaml

from stacks import HOST_PRIVATE_KEY, HOST_PUBLIC_KEY, Program

NAME = "mlops-k8s-master"


def test_the_addresses_of_a_machine_never_change(program: Program) -> None:
    graph = program()
    address = graph.one(f"{NAME}-ip")
    assert (address.plain("sku", "name"), address.plain("publicIPAllocationMethod")) == ("Standard", "Static")
    configuration = graph.one(f"{NAME}-nic").plain("ipConfigurations", 0)
    assert configuration["privateIPAddress"] == "10.60.0.4"
    assert configuration["privateIPAllocationMethod"] == "Static"
    assert configuration["publicIPAddress"] == {"id": f"/ids/{NAME}-ip"}
    assert configuration["subnet"] == {"id": "/ids/network-subnet"}


def test_custom_data_is_a_secret_that_no_later_change_touches(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    assert list(vm.request.ignoreChanges) == ["osProfile.customData"]
    document = yaml.safe_load(gzip.decompress(base64.b64decode(vm.plain("osProfile", "customData"))))
    assert document["ssh_keys"]["ed25519_private"] == HOST_PRIVATE_KEY
    assert document["ssh_keys"]["ed25519_public"] == HOST_PUBLIC_KEY
    paths = [entry["path"] for entry in document["write_files"]]
    assert "/usr/local/lib/mig-k8s/release.cloud-init" in paths
    assert "/etc/mig-k8s/desired.json" in paths


def test_a_new_rebuild_text_replaces_the_machine_and_the_old_one_goes_first(program: Program) -> None:
    vm = program(vm={"rebuild": "2026-11-23"}).one(f"{NAME}-vm")
    assert vm.request.replacement_trigger.string_value == "2026-11-23"
    assert vm.request.deleteBeforeReplace
    untouched = program().one(f"{NAME}-vm")
    assert untouched.request.replacement_trigger.WhichOneof("kind") == "string_value", "no trigger would hide the first"
    assert untouched.request.replacement_trigger.string_value == ""


def test_a_machine_has_no_identity_and_no_password(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    assert "identity" not in vm.inputs
    assert "adminPassword" not in vm.plain("osProfile")
    assert vm.plain("osProfile", "linuxConfiguration", "disablePasswordAuthentication") is True
    (key,) = vm.plain("osProfile", "linuxConfiguration", "ssh", "publicKeys")
    assert key["path"] == "/home/azureuser/.ssh/authorized_keys"
    assert key["keyData"].startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQ")


def test_a_deleted_machine_leaves_no_disk_behind_and_keeps_its_interface_for_the_next_one(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    assert vm.plain("storageProfile", "osDisk", "deleteOption") == "Delete"
    assert vm.plain("networkProfile", "networkInterfaces") == [
        {"id": f"/ids/{NAME}-nic", "primary": True, "deleteOption": "Detach"}
    ]


def test_azure_neither_patches_nor_reboots_a_machine_and_its_console_can_be_read(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    patching = vm.plain("osProfile", "linuxConfiguration", "patchSettings")
    assert patching == {"patchMode": "ImageDefault"}
    assert vm.plain("diagnosticsProfile", "bootDiagnostics", "enabled") is True


def test_trusted_launch_means_secure_boot_and_standard_means_no_security_profile(program: Program) -> None:
    trusted = program().one(f"{NAME}-vm").plain("securityProfile")
    assert trusted == {
        "securityType": "TrustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
    standard = program(vm={"securityType": "Standard"}).one(f"{NAME}-vm")
    assert "securityProfile" not in standard.inputs


def test_spot_capacity_has_its_price_and_its_end(program: Program) -> None:
    regular = program().one(f"{NAME}-vm")
    assert regular.plain("priority") == "Regular"
    assert "billingProfile" not in regular.inputs
    spot = program(vm={"spot": {"maxPrice": 1.5, "evictionPolicy": "Delete"}}).one(f"{NAME}-vm")
    assert (spot.plain("priority"), spot.plain("evictionPolicy")) == ("Spot", "Delete")
    assert spot.plain("billingProfile", "maxPrice") == 1.5


def test_auto_shutdown_has_the_only_name_azure_accepts(program: Program) -> None:
    assert program().of("GlobalSchedule") == []
    (schedule,) = program(vm={"autoShutdown": {"time": "1900", "timeZone": "UTC"}}).of("GlobalSchedule")
    assert schedule.plain("name") == f"shutdown-computevm-{NAME}"
    assert schedule.plain("targetResourceId") == f"/ids/{NAME}-vm"
    assert (schedule.plain("dailyRecurrence", "time"), schedule.plain("timeZoneId")) == ("1900", "UTC")
    assert (schedule.plain("status"), schedule.plain("taskType")) == ("Enabled", "ComputeVmShutdownTask")


def test_zone_dns_label_and_tags_reach_azure(program: Program) -> None:
    graph = program(vm={"zone": "2", "tags": {"owner": "ml"}}, network={"dnsLabel": "mlops"})
    for name in (f"{NAME}-ip", f"{NAME}-vm"):
        assert graph.one(name).plain("zones") == ["2"]
    assert graph.one(f"{NAME}-ip").plain("dnsSettings", "domainNameLabel") == "mlops"
    azure = [each for each in graph.resources if each.type.startswith("azure-native:")]
    taggable = [each for each in azure if not each.type.endswith(":Subnet")]
    assert len(taggable) == 6
    assert all(each.plain("tags") == {"owner": "ml"} for each in taggable)
