"""What a stack and its machines keep for life: the list, and the report on what is to be otherwise."""

from collections.abc import Callable

import pytest

from plan import StackPlan, kept_by_machine, kept_by_stack, refusal

Planned = Callable[..., StackPlan]
_POOLS = [{"name": "server"}, {"name": "gpu", "role": "agent"}]


def test_the_lists_are_these(planned: Planned) -> None:
    stack = planned(nodePools=_POOLS)
    assert kept_by_stack(stack) == {
        "azure-native:location": "westeurope",
        "mig-k8s:network.subnetCidr": "10.60.0.0/24",
        "mig-k8s:vm.zone": "none",
    }
    server, agent = (kept_by_machine(stack, node) for node in stack.nodes)
    of_all = {
        "mig-k8s:nodePools.role": "agent",
        "mig-k8s:rke2.cis": "false",
        "mig-k8s:vm.adminUsername": "azureuser",
        "mig-k8s:vm.image": "Canonical:ubuntu-24_04-lts:server:latest",
        "mig-k8s:vm.osDisk.sizeGib": "256",
        "mig-k8s:vm.osDisk.type": "Premium_LRS",
        "mig-k8s:vm.securityType": "TrustedLaunch",
        "mig-k8s:vm.spot": "none",
    }
    assert agent == of_all
    assert server == {
        **of_all,
        "mig-k8s:nodePools.role": "server",
        "mig-k8s:network.podCidr": "10.42.0.0/16",
        "mig-k8s:network.serviceCidr": "10.43.0.0/16",
        "mig-k8s:rke2.cni": "calico",
        "mig-k8s:gpuOperator.namespace": "gpu-operator",
    }


def test_every_value_that_is_kept_is_reported_with_its_way_out() -> None:
    report = refusal(
        "gpu",
        {"mig-k8s:rke2.cis": "false", "mig-k8s:nodePools.role": "agent"},
        {"mig-k8s:rke2.cis": "true", "mig-k8s:nodePools.role": "server"},
    )
    assert str(report) == (
        "2 problems in this stack; nothing was made or changed.\n\n"
        "mig-k8s:rke2.cis: true\n"
        "    gpu was made with false and keeps that as long as it lives\n"
        "    do: Set it back; or give each of its machines another text under `rebuild` too: it is then made\n"
        "        anew, and what is on it is lost.\n\n"
        "mig-k8s:nodePools.role: server\n"
        "    gpu was made with agent and keeps that as long as it lives\n"
        "    do: Set it back; or take its pool out of the stack file for one `pulumi up`, then put it in\n"
        "        again."
    )


@pytest.mark.parametrize(
    ("remembered", "wanted"),
    [
        ({"mig-k8s:vm.zone": "1"}, {"mig-k8s:vm.zone": "1"}),
        ({}, {"mig-k8s:vm.zone": "1"}),
        ({"mig-k8s:network.podCidr": "10.42.0.0/16"}, {}),
    ],
)
def test_what_is_the_same_or_not_remembered_is_not_refused(remembered: dict[str, str], wanted: dict[str, str]) -> None:
    """An older version may not have remembered all that this one does."""
    assert refusal("gpu", remembered, wanted) is None


def test_a_long_value_is_shortened() -> None:
    key = "mig-k8s:ssh.publicKey"
    assert "made with ssh-ed25519 AAAAC3NzaC1l…f4SZ1H0VxYkGmXn7aJ2bLw0q and" in str(
        refusal("gpu", {key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIrAm3f4SZ1H0VxYkGmXn7aJ2bLw0q"}, {key: "other"})
    )
