"""The plan of a stack: network, machines and their properties."""

import hashlib
from collections.abc import Callable

import pytest

from plan import Problems, Settings, StackPlan, VmPlan, plan_stack
from plan.machine.node import AutoShutdownPlan, ImagePlan, SpotPlan

Planned = Callable[..., StackPlan]


def test_the_default_machine(planned: Planned) -> None:
    """Everything Azure is told about it."""
    stack = planned()
    (node,) = stack.nodes
    assert node.vm == VmPlan(
        size="Standard_NC24ads_A100_v4",
        image=ImagePlan(
            name="Canonical:ubuntu-24_04-lts:server:latest",
            reference={"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
        ),
        admin_username="azureuser",
        public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv",
        other_public_keys=(),
        agent_socket_path=None,
        os_disk_gib=256,
        os_disk_type="Premium_LRS",
        security_type="TrustedLaunch",
        zone=None,
        spot=None,
        auto_shutdown=None,
        rebuild="",
        tags={},
    )
    assert (node.name, node.pool, node.role) == ("mlops-k8s-master", "mlops-k8s-master", "server")
    assert node.layout is not None
    assert (node.layout.modes, node.mig_owner) == ((True,), "host")
    assert (stack.location, stack.mig_strategy, stack.mig_owner) == ("westeurope", "single", "host")


def test_options_of_the_machine_reach_its_plan(planned: Planned) -> None:
    """Spot, schedule, zone, tags, disk."""
    vm = {
        "spot": {"maxPrice": 1.5, "evictionPolicy": "Deallocate"},
        "autoShutdown": {"time": "1900", "timeZone": "W. Europe Standard Time"},
        "zone": "2",
        "tags": {"team": "mlops"},
        "osDisk": {"sizeGib": 512, "type": "StandardSSD_LRS"},
        "adminUsername": "ops",
        "image": "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest",
    }
    stack = planned(vm=vm, rebuild={"mlops-k8s-master": "again"})
    plan = stack.nodes[0].vm
    assert plan.spot == SpotPlan(max_price=1.5, eviction_policy="Deallocate")
    assert plan.auto_shutdown == AutoShutdownPlan(time="1900", time_zone="W. Europe Standard Time")
    assert (plan.zone, plan.tags, plan.rebuild, plan.admin_username) == ("2", {"team": "mlops"}, "again", "ops")
    assert (plan.os_disk_gib, plan.os_disk_type) == (512, "StandardSSD_LRS")
    assert plan.image.reference["sku"] == "22_04-lts-gen2"
    assert stack.tags == {"team": "mlops"}


def test_only_the_first_machine_has_the_public_name(planned: Planned) -> None:
    """A DNS label is one address's."""
    pools = [{"name": "a", "count": 3}, {"name": "b", "role": "agent"}]
    stack = planned(network={"dnsLabel": "mig-k8s"}, nodePools=pools)
    assert [node.dns_label for node in stack.nodes] == ["mig-k8s", None, None, None]


def test_the_first_machine_of_a_pool_has_its_name_and_the_others_are_numbered_from_one(planned: Planned) -> None:
    """So that a pool of one that grows renames nobody."""
    one = planned(nodePools=[{"name": "a"}, {"name": "b", "role": "agent"}])
    three = planned(nodePools=[{"name": "a", "count": 3}, {"name": "b", "role": "agent", "count": 2}])
    assert [node.name for node in one.nodes] == ["a", "b"]
    assert [node.name for node in three.nodes] == ["a", "a-1", "a-2", "b", "b-1"]


def test_a_pool_may_keep_the_name_that_an_older_version_gave_its_first_machine(planned: Planned) -> None:
    pools = [{"name": "a", "count": 3, "firstMachine": "a-0"}, {"name": "b", "role": "agent"}]
    stack = planned(nodePools=pools)
    assert [node.name for node in stack.nodes] == ["a-0", "a-1", "a-2", "b"]
    assert stack.other_names == {"a-0": "a", "b": "b-0"}


def test_a_name_of_another_pools_machine_is_not_taken_for_an_older_name(planned: Planned) -> None:
    stack = planned(nodePools=[{"name": "a"}, {"name": "a-0", "role": "agent"}])
    assert stack.other_names == {"a-0": "a-0-0"}


def test_the_network_of_the_machines_is_what_the_stack_says(planned: Planned) -> None:
    network = {"cidr": "192.168.0.0/16", "subnetCidr": "192.168.7.128/28"}
    stack = planned(network=network, nodePools=[{"count": 3}])
    assert stack.network.subnet_cidr == "192.168.7.128/28"
    assert stack.network.admin_cidrs == ("203.0.113.7/32",)


def test_a_layout_that_does_not_fit_is_refused_by_the_plan_itself_too(settings: Callable[..., Settings]) -> None:
    """Settings made by hand get no further."""
    good = settings()
    pool = good.node_pools[0].model_copy(update={"mig_devices": {"1g.10gb": 8}})
    bad = good.model_copy(update={"node_pools": (pool,)})
    with pytest.raises(Problems, match="needs 8 compute slices; NVIDIA A100 80 GB has 7"):
        plan_stack(bad)


def test_a_thousand_machines_are_planned_in_seconds(planned: Planned) -> None:
    """Alike machines cost little more than one."""
    network = {"cidr": "10.60.0.0/16", "subnetCidr": "10.60.0.0/20", "podCidr": "10.128.0.0/14"}
    pools = [{"name": "s"}, {"name": "a", "role": "agent", "count": 999, "migDevices": {"1g.10gb": 7}}]
    assert len(planned(network=network, nodePools=pools).nodes) == 1000


def test_user_data_azure_would_refuse_is_refused_before_anything_is_made(settings: Callable[..., Settings]) -> None:
    """By the plan itself, so that check and preview tell; the text is one that does not shrink when packed."""
    noise = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(1000)]
    with pytest.raises(Problems, match=r"the user-data of mlops-k8s-master is \d+ bytes") as caught:
        plan_stack(settings(rke2={"config": {"kubelet-arg": noise}}))
    (problem,) = caught.value.problems
    assert (problem.path, problem.allowed) == ("mig-k8s:rke2.config", "Azure takes at most 65535 bytes")


@pytest.mark.parametrize(
    ("written", "agents", "at_once"),
    [(1, 3, 1), (2, 3, 2), (5, 3, 5), ("25%", 3, 1), ("25%", 8, 2), ("25%", 11, 2), ("1%", 60, 1), ("100%", 7, 7)],
)
def test_a_share_of_the_agents_is_rounded_down_to_no_less_than_one(
    planned: Planned, written: int | str, agents: int, at_once: int
) -> None:
    pools = [{"name": "server", "count": 3}, {"name": "gpu", "role": "agent", "count": agents}]
    assert planned(nodePools=pools, rollout={"agentsAtOnce": written}).agents_at_once == at_once


def test_without_an_agent_nobody_takes_turns(planned: Planned) -> None:
    assert planned(nodePools=[{"name": "server", "count": 3}]).agents_at_once is None
