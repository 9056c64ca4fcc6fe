"""What the cluster must show, per strategy: the tutorial's outputs, as today's versions print them."""

import json
from collections.abc import Callable

import pytest
from minimal_stack import addresses

from machine.documents.expectations import Expectations, ExpectedDevice, ExpectedNode
from plan import StackPlan, configuration

Planned = Callable[..., StackPlan]
_TUTORIAL = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}


def _nodes(stack: StackPlan) -> tuple[ExpectedNode, ...]:
    assert stack.verification is not None
    return Expectations.from_json(stack.verification.expectations.to_json()).nodes


def test_mixed_offers_every_profile_as_its_own_resource(planned: Planned) -> None:
    """The tutorial's last stack."""
    (node,) = _nodes(planned(mig={"strategy": "mixed"}, nodePools=[{"migDevices": _TUTORIAL}]))
    assert node.allocatable == {
        "nvidia.com/mig-3g.40gb": 1,
        "nvidia.com/mig-2g.20gb": 1,
        "nvidia.com/mig-1g.10gb": 1,
    }
    assert node.labels == {
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.replicas": "0",
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
        "nvidia.com/mig-1g.10gb.count": "1",
        "nvidia.com/mig-1g.10gb.slices.ci": "1",
        "nvidia.com/mig-1g.10gb.slices.gi": "1",
        "nvidia.com/mig-2g.20gb.count": "1",
        "nvidia.com/mig-2g.20gb.slices.ci": "2",
        "nvidia.com/mig-2g.20gb.slices.gi": "2",
        "nvidia.com/mig-3g.40gb.count": "1",
        "nvidia.com/mig-3g.40gb.slices.ci": "3",
        "nvidia.com/mig-3g.40gb.slices.gi": "3",
    }
    assert node.devices == (
        ExpectedDevice("mig-mixed-3g-40gb-0", "nvidia.com/mig-3g.40gb", "3g.40gb", compute=True),
        ExpectedDevice("mig-mixed-2g-20gb-0", "nvidia.com/mig-2g.20gb", "2g.20gb", compute=True),
        ExpectedDevice("mig-mixed-1g-10gb-0", "nvidia.com/mig-1g.10gb", "1g.10gb", compute=True),
    )


def test_single_offers_seven_sevenths_as_gpus(planned: Planned) -> None:
    """The tutorial's single stack, which is also the default."""
    (node,) = _nodes(planned())
    assert node.allocatable == {"nvidia.com/gpu": 7}
    assert node.labels == {
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/gpu.count": "7",
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb",
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.slices.ci": "1",
        "nvidia.com/gpu.slices.gi": "1",
    }
    assert [device.pod for device in node.devices] == [f"mig-single-1g-10gb-{number}" for number in range(7)]
    assert {device.resource for device in node.devices} == {"nvidia.com/gpu"}


def test_none_with_mig_off_offers_the_whole_gpu(planned: Planned) -> None:
    """The tutorial's first none test."""
    (node,) = _nodes(planned(mig={"strategy": "none"}, nodePools=[{}]))
    assert node.allocatable == {"nvidia.com/gpu": 1}
    assert node.labels == {
        "nvidia.com/mig.capable": "true",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
        "nvidia.com/gpu.replicas": "1",
    }
    assert node.devices == (ExpectedDevice("mig-none-gpu-0", "nvidia.com/gpu", None, compute=True),)


def test_none_with_mig_on_offers_a_gpu_that_cannot_compute(planned: Planned) -> None:
    """The tutorial's second none test; replicas is 0 since device plugin 0.20."""
    (node,) = _nodes(planned(mig={"strategy": "none"}, nodePools=[{"migDevices": {}}]))
    assert node.allocatable == {"nvidia.com/gpu": 1}
    assert node.labels["nvidia.com/gpu.replicas"] == "0"
    assert "nvidia.com/mig.strategy" not in node.labels
    assert [device.compute for device in node.devices] == [False]


def test_a_whole_gpu_keeps_the_strategys_label(planned: Planned) -> None:
    """MIG off under single: one GPU, and the label says single."""
    (node,) = _nodes(planned(nodePools=[{}]))
    assert node.allocatable == {"nvidia.com/gpu": 1}
    assert node.labels["nvidia.com/mig.strategy"] == "single"


def test_mixed_offers_gpus_and_devices_side_by_side(planned: Planned) -> None:
    """One GPU divided, one whole; counts of GPUs are not asserted then."""
    pool = {"vmSize": "Standard_NC48ads_A100_v4", "gpus": [{"devices": [1], "migDevices": {"3g.40gb": 2}}]}
    (node,) = _nodes(planned(mig={"strategy": "mixed"}, nodePools=[pool]))
    assert node.allocatable == {"nvidia.com/gpu": 1, "nvidia.com/mig-3g.40gb": 2}
    assert "nvidia.com/gpu.count" not in node.labels
    assert node.labels["nvidia.com/mig-3g.40gb.count"] == "2"


def test_media_extensions_are_spelt_with_a_dot_in_resources_and_a_hyphen_in_pod_names(planned: Planned) -> None:
    """`+` is legal in neither."""
    (node,) = _nodes(planned(mig={"strategy": "mixed"}, nodePools=[{"migDevices": {"1g.10gb+me": 1}}]))
    assert node.allocatable == {"nvidia.com/mig-1g.10gb.me": 1}
    assert node.labels["nvidia.com/mig-1g.10gb.me.count"] == "1"
    assert node.devices[0].pod == "mig-mixed-1g-10gb-me-0"
    assert node.devices[0].profile == "1g.10gb+me"


def test_pods_of_several_machines_have_names_of_their_own(planned: Planned) -> None:
    """They share one namespace."""
    nodes = _nodes(planned(nodePools=[{"count": 3, "migDevices": {"3g.40gb": 2}}]))
    assert [[device.pod for device in node.devices] for node in nodes] == [
        ["mig-single-3g-40gb-0", "mig-single-3g-40gb-1"],
        ["mig-single-3g-40gb-2", "mig-single-3g-40gb-3"],
        ["mig-single-3g-40gb-4", "mig-single-3g-40gb-5"],
    ]


def test_a_machine_without_gpu_must_be_there_and_offer_none(planned: Planned) -> None:
    """Ready, and nothing of NVIDIA's."""
    pools = [{"name": "server", "vmSize": "Standard_D4s_v5"}, {"name": "gpu", "role": "agent"}]
    server, _ = _nodes(planned(nodePools=pools))
    assert server == ExpectedNode(name="server", allocatable={}, labels={}, devices=())


@pytest.mark.parametrize("size", ["Standard_NC40ads_H100_v5", "Standard_ND96asr_v4"])
def test_a_product_is_not_asserted_where_no_fact_gives_it(planned: Planned, size: str) -> None:
    """A guessed label would fail a right cluster."""
    (node,) = _nodes(planned(vm={"securityType": "Standard"}, mig={"strategy": "none"}, nodePools=[{"vmSize": size}]))
    assert "nvidia.com/gpu.product" not in node.labels


def _sharing(text: str, default: str = "any") -> dict[str, object]:
    config = {"create": True, "name": "time-slicing", "default": default, "data": {"any": text, "other": ""}}
    return {"values": {"devicePlugin": {"config": {key: value for key, value in config.items() if value}}}}


def test_a_device_that_pods_share_is_expected_once_for_each_of_them(planned: Planned) -> None:
    """NVIDIA's documentation of time-slicing: four replicas of the GPU, and its product is SHARED."""
    text = "version: v1\nsharing:\n  timeSlicing:\n    resources: [{name: nvidia.com/gpu, replicas: 4}]\n"
    (node,) = _nodes(planned(gpuOperator=_sharing(text), nodePools=[{"migDevices": {"3g.40gb": 2}}]))
    assert node.allocatable == {"nvidia.com/gpu": 8}
    assert [(device.pod, device.resource, device.replicas) for device in node.devices] == [
        (f"mig-single-3g-40gb-{number}", "nvidia.com/gpu", 4) for number in range(8)
    ]
    assert node.labels["nvidia.com/gpu.count"] == "2"
    assert node.labels["nvidia.com/gpu.replicas"] == "4"
    assert node.labels["nvidia.com/gpu.product"] == "NVIDIA-A100-80GB-PCIe-MIG-3g.40gb-SHARED"


def test_a_shared_resource_may_be_renamed_and_its_product_is_not(planned: Planned) -> None:
    resources = "[{name: mig-1g.10gb, replicas: 3}]"
    text = f"sharing: {{timeSlicing: {{renameByDefault: true, resources: {resources}}}}}"
    (node,) = _nodes(
        planned(gpuOperator=_sharing(text), mig={"strategy": "mixed"}, nodePools=[{"migDevices": _TUTORIAL}])
    )
    assert node.allocatable == {
        "nvidia.com/mig-3g.40gb": 1,
        "nvidia.com/mig-2g.20gb": 1,
        "nvidia.com/mig-1g.10gb.shared": 3,
    }
    assert [(device.resource, device.replicas) for device in node.devices[2:]] == [
        ("nvidia.com/mig-1g.10gb.shared", 3)
    ] * 3
    assert node.labels["nvidia.com/mig-1g.10gb.replicas"] == "3"
    assert "nvidia.com/mig-2g.20gb.replicas" not in node.labels
    assert node.labels["nvidia.com/gpu.product"] == "NVIDIA-A100-80GB-PCIe"
    renamed = "sharing: {timeSlicing: {renameByDefault: true, resources: [{name: nvidia.com/gpu, replicas: 2}]}}"
    (node,) = _nodes(planned(gpuOperator=_sharing(renamed), mig={"strategy": "none"}, nodePools=[{}]))
    assert node.allocatable == {"nvidia.com/gpu.shared": 2}
    assert node.labels["nvidia.com/gpu.replicas"] == "2"
    assert node.labels["nvidia.com/gpu.product"] == "NVIDIA-A100-80GB-PCIe"


@pytest.mark.parametrize("default", ["", "other"])
def test_a_sharing_that_no_node_has_by_default_is_not_expected(planned: Planned, default: str) -> None:
    text = "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}"
    (node,) = _nodes(planned(gpuOperator=_sharing(text, default)))
    assert node.allocatable == {"nvidia.com/gpu": 7}
    assert node.labels["nvidia.com/gpu.product"] == "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb"


def test_the_verification_can_be_left_out(planned: Planned) -> None:
    """verify.enabled: false."""
    assert planned(verify={"enabled": False}).verification is None


def test_the_verification_says_image_namespaces_and_time(planned: Planned) -> None:
    """In seconds, as JSON: a machine may run a release that is older or newer than this checkout."""
    stack = planned(verify={"timeoutMinutes": 7}, gpuOperator={"namespace": "gpu-things"}, nodePools=[{}])
    assert stack.verification is not None
    assert stack.verification.timeout_seconds == 420
    expectations = json.loads(stack.verification.expectations.to_json())
    (node,) = expectations.pop("nodes")
    assert expectations == {
        "version": 1,
        "image": "nvcr.io/nvidia/k8s/cuda-sample:vectoradd-cuda12.5.0-ubuntu22.04",
        "timeoutSeconds": 420,
        "namespace": "mig-k8s-verify",
        "operatorNamespace": "gpu-things",
        "rke2Version": "v1.36.4+rke2r1",
        "deviceListFromEnvironment": False,
    }
    assert set(node) == {"name", "allocatable", "labels", "devices", "away"}
    assert node["devices"] == [
        {"pod": "mig-single-gpu-0", "resource": "nvidia.com/gpu", "profile": None, "compute": True, "replicas": 1}
    ]


def test_a_stack_that_lets_pods_name_devices_says_so_to_machine_and_verification(
    planned: Planned,
) -> None:
    stack = planned(toolkit={"deviceListFromEnvironment": True})
    assert stack.verification is not None
    assert json.loads(stack.verification.expectations.to_json())["deviceListFromEnvironment"] is True
    (node,) = stack.nodes
    toolkit = json.loads(configuration(node, addresses(node)).desired_state.to_json())["toolkit"]
    assert toolkit["deviceListFromEnvironment"] is True


def test_a_stack_that_lets_pods_name_devices_may_give_them_in_a_variable(planned: Planned) -> None:
    values = {"cdi": {"enabled": False}}
    stack = planned(toolkit={"deviceListFromEnvironment": True}, gpuOperator={"values": values})
    assert stack.gpu_operator.values["cdi"] == {"enabled": False}
