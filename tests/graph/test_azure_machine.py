"""The virtual machine and what belongs to it in Azure."""

import base64
import gzip
import json

import pulumi
import pytest
import yaml

from recording import Registered
from stacks import ADMIN_PUBLIC_KEY, CLUSTER, HOST_PRIVATE_KEY, HOST_PUBLIC_KEY, Program

NAME = "mlops-k8s-master"


def test_the_addresses_of_a_machine_never_change(program: Program) -> None:
    graph = program()
    address = graph.one(f"{NAME}-ip")
    assert (address.plain("sku", "name"), address.plain("publicIPAllocationMethod")) == ("Standard", "Static")
    interface = graph.one(f"{NAME}-nic")
    configuration = interface.plain("ipConfigurations", 0)
    assert "privateIPAddress" not in configuration, "Azure chooses it, once, and keeps it with the interface"
    assert configuration["privateIPAllocationMethod"] == "Dynamic"
    assert configuration["publicIPAddress"] == {"id": f"/ids/{NAME}-ip"}
    assert configuration["subnet"] == {"id": "/ids/network-subnet"}
    assert graph.exports["privateAddresses"].value == {NAME: "10.60.0.4"}


def test_an_interface_that_was_given_its_address_by_an_older_version_keeps_it(program: Program) -> None:
    """The engine puts the old values in the place of what is ignored, so it sees no change at all."""
    assert list(program().one(f"{NAME}-nic").request.ignoreChanges) == [
        "ipConfigurations[0].privateIPAddress",
        "ipConfigurations[0].privateIPAllocationMethod",
    ]


def test_a_machines_files_name_the_addresses_that_azure_chose(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    pushed = json.loads(graph.one("gpu-1-converge").plain("stdin"))
    rke2 = yaml.safe_load(pushed["rke2Config"])
    assert rke2["node-ip"] == graph.exports["privateAddresses"].value["gpu-1"]
    create = graph.one("gpu-1-converge").plain("create")
    assert create.endswith(f" update --join {graph.exports['privateAddresses'].value['server']}")
    user_data = yaml.safe_load(
        gzip.decompress(base64.b64decode(graph.one("gpu-1-vm").plain("osProfile", "customData")))
    )
    files = {entry["path"]: entry["content"] for entry in user_data["write_files"]}
    assert files["/etc/rancher/rke2/config.yaml"] == pushed["rke2Config"]


def test_custom_data_is_a_secret_that_no_later_change_touches(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    assert list(vm.request.ignoreChanges) == [
        "osProfile.customData",
        "osProfile.linuxConfiguration.ssh.publicKeys",
        "vmName",
        "osProfile.computerName",
    ]
    document = yaml.safe_load(gzip.decompress(base64.b64decode(vm.plain("osProfile", "customData"))))
    assert document["ssh_keys"]["ed25519_private"] == HOST_PRIVATE_KEY
    assert document["ssh_keys"]["ed25519_public"] == HOST_PUBLIC_KEY
    paths = [entry["path"] for entry in document["write_files"]]
    assert "/usr/local/lib/mig-k8s/release.cloud-init" in paths
    assert "/etc/mig-k8s/desired.json" in paths


def test_a_new_rebuild_text_replaces_the_machine_and_the_old_one_goes_first(program: Program) -> None:
    vm = program(rebuild={NAME: "2026-11-23"}).one(f"{NAME}-vm")
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
    assert key["keyData"].startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOb17UP1")


def test_a_deleted_machine_leaves_no_disk_behind_and_keeps_its_interface_for_the_next_one(program: Program) -> None:
    vm = program().one(f"{NAME}-vm")
    assert vm.plain("storageProfile", "osDisk", "deleteOption") == "Delete"
    assert vm.plain("networkProfile", "networkInterfaces") == [
        {"id": f"/ids/{NAME}-nic", "primary": True, "deleteOption": "Detach"}
    ]


OWN = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/images/providers/Microsoft.Compute"
    "/galleries/ours/images/gpu"
)


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (
            "Canonical:ubuntu-24_04-lts:server:latest",
            {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
        ),
        (OWN, {"id": OWN}),
        (f"{OWN}/versions/1.2.3", {"id": f"{OWN}/versions/1.2.3"}),
        ("/CommunityGalleries/a-1/Images/gpu", {"communityGalleryImageId": "/CommunityGalleries/a-1/Images/gpu"}),
        ("/sharedGalleries/b-1/images/gpu", {"sharedGalleryImageId": "/sharedGalleries/b-1/images/gpu"}),
    ],
)
def test_an_image_is_named_by_its_urn_or_by_its_id_in_a_gallery(
    program: Program, image: str, reference: dict[str, str]
) -> None:
    assert program(vm={"image": image}).one(f"{NAME}-vm").plain("storageProfile", "imageReference") == reference


@pytest.mark.parametrize("source", ["ubuntu", "image"])
def test_of_an_image_in_a_gallery_only_its_maker_knows_whether_it_has_a_driver_and_who_signed_it(
    program: Program, source: str
) -> None:
    trusted = program(vm={"image": OWN}, driver={"source": source}).one(f"{NAME}-vm").plain("securityProfile")
    assert trusted["securityType"] == "TrustedLaunch"


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


def aliases(component: Registered) -> list[str]:
    return [alias.spec.name for alias in component.request.aliases]


def test_the_first_machine_of_a_pool_is_looked_for_under_the_name_of_older_versions_too(program: Program) -> None:
    graph = program(nodePools=CLUSTER, mig={"strategy": "single"})
    found = {each.name: aliases(each) for each in graph.of("Machine")}
    assert found == {"server": ["server-0"], "gpu": ["gpu-0"], "gpu-1": []}
    kept = program(nodePools=[CLUSTER[0], {**CLUSTER[1], "firstMachine": "gpu-0"}], mig={"strategy": "single"})
    assert {each.name: aliases(each) for each in kept.of("Machine")}["gpu-0"] == ["gpu"]


@pytest.mark.parametrize("preview", [True, False])
def test_a_machine_that_has_another_name_in_azure_is_refused_and_not_replaced(program: Program, preview: bool) -> None:
    """An older version called it gpu-0. Nothing runs on it: whatever does comes after its identity."""
    with pytest.raises(pulumi.RunError) as refused:
        program(
            preview=preview,
            unmade=() if preview else None,
            azure_names={"gpu-vm": "gpu-0"},
            nodePools=CLUSTER,
            mig={"strategy": "single"},
        )
    assert str(refused.value) == (
        "mig-k8s:nodePools: the first machine of pool gpu is called gpu-0 in Azure, and gpu by the stack file. "
        "A machine cannot be renamed: it would be deleted, with everything on it, and a new one made. "
        "Nothing was done to it. To keep it, write `firstMachine: gpu-0` in pool gpu; "
        "to give it up, take its pool out of the stack file for one `pulumi up`."
    )


def test_a_machine_that_keeps_the_name_of_an_older_version_is_taken(program: Program) -> None:
    pools = [CLUSTER[0], {**CLUSTER[1], "firstMachine": "gpu-0"}]
    graph = program(azure_names={"gpu-0-vm": "gpu-0"}, nodePools=pools, mig={"strategy": "single"})
    assert graph.one("gpu-0-vm").plain("osProfile", "computerName") == "gpu-0"


def test_the_preview_of_an_interface_tells_no_address_and_of_what_depends_on_it_neither(program: Program) -> None:
    graph = program(preview=True, unmade=("mlops-k8s-master-nic",))
    assert not graph.exports["privateAddresses"].known
    assert graph.exports["addresses"].known


def test_another_key_of_the_administrator_goes_to_the_machine_and_not_to_azure(program: Program) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqygQ1mb0Ct3s0tf9WsPjjtVQ0Xl8WZNfTFsULe5i2e me@home"
    graph = program(ssh={"publicKey": ADMIN_PUBLIC_KEY, "otherPublicKeys": [other]})
    vm = graph.one(f"{NAME}-vm")
    assert "osProfile.linuxConfiguration.ssh.publicKeys" in vm.request.ignoreChanges
    sent = json.loads(graph.one(f"{NAME}-converge").plain("stdin"))
    assert sent["administrator"] == {"user": "azureuser", "keys": [ADMIN_PUBLIC_KEY, other]}
    before = program().one(f"{NAME}-converge")
    assert before.plain("triggers") != graph.one(f"{NAME}-converge").plain("triggers")


@pytest.mark.parametrize("preview", [True, False])
def test_a_private_key_of_another_pair_is_refused_before_anything_is_dialled(program: Program, preview: bool) -> None:
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMqygQ1mb0Ct3s0tf9WsPjjtVQ0Xl8WZNfTFsULe5i2e"
    with pytest.raises(
        pulumi.RunError, match=r"mig-k8s:sshPrivateKey: \(not shown\)\n    is not the private half of ssh"
    ):
        program(ssh={"publicKey": other, "otherPublicKeys": [ADMIN_PUBLIC_KEY]}, preview=preview)
