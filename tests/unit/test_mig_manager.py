"""MIG Manager's configuration, its names, and what a machine is told of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from plan import StackPlan
from plan.cluster.mig_manager import config_map_name, layout_name, mig_parted_config
from plan.cluster.mig_manager_layout import mig_manager_layout

Planned = Callable[..., StackPlan]
_OPERATOR = {"strategy": "mixed", "owner": "operator"}
_NAME = "mlops-k8s-master"


def _name(planned: Planned, **pool: object) -> str:
    mig = {"strategy": "none"} if not (pool.get("migDevices") or pool.get("gpus")) else {}
    return layout_name(planned(mig=_OPERATOR | mig, nodePools=[{"name": _NAME, **pool}]).nodes[0])


def test_every_pool_has_an_entry_for_its_registration_and_one_for_this_layout(planned: Planned) -> None:
    """As mig-parted reads it, GPU by GPU, for sizes and layouts that differ."""
    pools = [
        {
            "name": "two",
            "vmSize": "Standard_NC48ads_A100_v4",
            "gpus": [{"devices": [1], "migDevices": {"3g.40gb": 1, "1g.10gb+me": 1}}],
        },
        {"name": "one", "role": "agent", "vmSize": "Standard_NC40ads_H100_v5", "migDevices": {"2g.24gb": 3}},
        {"name": "off", "role": "agent"},
        {"name": "cpu", "role": "agent", "vmSize": "Standard_D4s_v5"},
    ]
    config = yaml.safe_load(mig_parted_config(planned(mig=_OPERATOR, nodePools=pools).nodes))
    two = [
        {"devices": [0], "mig-enabled": False, "mig-devices": {}},
        {"devices": [1], "mig-enabled": True, "mig-devices": {"3g.40gb": 1, "1g.10gb+me": 1}},
    ]
    one = [{"devices": [0], "mig-enabled": True, "mig-devices": {"2g.24gb": 3}}]
    off = [{"devices": [0], "mig-enabled": False, "mig-devices": {}}]
    assert config == {
        "version": "v1",
        "mig-configs": {
            "mig-k8s-two": two,
            "mig-k8s-two-c77d47e3": two,
            "mig-k8s-one": one,
            "mig-k8s-one-15e9a8fc": one,
            "mig-k8s-off": off,
            "mig-k8s-off-86c1908b": off,
        },
    }


def test_machines_of_one_pool_share_its_entries(planned: Planned) -> None:
    pools = [{"name": "a", "count": 3, "migDevices": {"1g.10gb": 7}}]
    nodes = planned(mig={"owner": "operator"}, nodePools=pools).nodes
    assert len({layout_name(node) for node in nodes}) == 1
    assert len(yaml.safe_load(mig_parted_config(nodes))["mig-configs"]) == 2


def test_the_name_of_a_layout_says_its_content(planned: Planned) -> None:
    """Nothing that MIG Manager would not act on changes it, and everything that it must act on does."""
    name = _name(planned, migDevices={"3g.40gb": 1, "1g.10gb": 2})
    assert name == "mig-k8s-mlops-k8s-master-0a7f775f"
    assert _name(planned, migDevices={"1g.10gb": 2, "3g.40gb": 1}) == name
    assert _name(planned, nodeLabels={"a": "b"}, migDevices={"3g.40gb": 1, "1g.10gb": 2}) == name
    others: list[dict[str, Any]] = [{"migDevices": {"3g.40gb": 1, "1g.10gb": 1}}, {"migDevices": {}}, {}]
    assert len({name, *(_name(planned, **other) for other in others)}) == 4


def test_the_same_devices_on_other_gpus_are_another_layout(planned: Planned) -> None:
    def swapped(first: int, second: int) -> str:
        gpus = [
            {"devices": [first], "migDevices": {"7g.80gb": 1}},
            {"devices": [second], "migDevices": {"1g.10gb": 7}},
        ]
        return _name(planned, vmSize="Standard_NC48ads_A100_v4", gpus=gpus)

    assert swapped(0, 1) != swapped(1, 0)


def test_long_names_of_pools_stay_labels_and_stay_apart(planned: Planned) -> None:
    """A label holds 63 characters."""
    pools = [
        {"name": "a" * 60 + "-1"},
        {"name": "a" * 60 + "-2", "role": "agent"},
        {"name": "b" * 55, "role": "agent"},
        {"name": "b" * 56, "role": "agent"},
    ]
    nodes = planned(mig=_OPERATOR, nodePools=pools).nodes
    names = [name for node in nodes for name in (node.mig_config or "", layout_name(node))]
    assert len(set(names)) == 8
    assert [len(name) for name in names] == [63, 63, 63, 63, 63, 63, 63, 63]
    assert nodes[2].mig_config == "mig-k8s-" + "b" * 55


def test_another_configuration_is_another_config_map(planned: Planned) -> None:
    """So that the operator starts MIG Manager anew."""
    assert config_map_name("a") == "mig-k8s-ca978112"
    first, second = (
        planned(mig=_OPERATOR, nodePools=[{"migDevices": {"1g.10gb": count}}]).gpu_operator.mig_config_map
        for count in (6, 7)
    )
    assert first != second


def test_a_machine_is_told_what_to_free_and_what_to_wait_for(planned: Planned) -> None:
    stack = planned(
        mig={**_OPERATOR, "onChange": "drain"},
        nodePools=[{"migDevices": {"2g.20gb": 3, "1g.10gb": 1}}],
        gpuOperator={"namespace": "nvidia"},
    )
    (node,) = stack.nodes
    instances = [
        {"profile": "2g.20gb", "start": 0},
        {"profile": "2g.20gb", "start": 2},
        {"profile": "2g.20gb", "start": 4},
        {"profile": "1g.10gb", "start": 6},
    ]
    layout = {"gpus": [{"index": 0, "mode": True, "instances": instances}], "onChange": "drain"}
    wanted = stack.mig_manager_layouts["mlops-k8s-master"]
    assert json.loads(wanted.layout.to_json()) == {"version": 1, **layout}
    assert json.loads(wanted.to_json()) == {
        "version": 1,
        "node": "mlops-k8s-master",
        "config": layout_name(node),
        "configMap": stack.gpu_operator.mig_config_map,
        "namespace": "nvidia",
        "seconds": 1800,
        "layout": layout,
    }


def test_where_the_host_owns_mig_there_is_nothing_to_tell(planned: Planned) -> None:
    stack = planned()
    (node,) = stack.nodes
    assert node.mig_config is None
    assert (list(stack.host_layouts), stack.mig_manager_layouts) == (["mlops-k8s-master"], {})
    with pytest.raises(ValueError, match="MIG Manager does not make the instances of mlops-k8s-master"):
        layout_name(node)
    with pytest.raises(ValueError, match="the GPU Operator's release has no MIG Manager"):
        mig_manager_layout(node, stack.gpu_operator)


def test_each_machine_with_gpus_is_told_its_layout_by_the_host_or_for_mig_manager(planned: Planned) -> None:
    pools = [{"name": "server", "vmSize": "Standard_D4s_v5"}, {"name": "gpu", "role": "agent"}]
    assert list(planned(nodePools=pools).host_layouts) == ["gpu"]
    stack = planned(nodePools=pools, mig=_OPERATOR)
    assert (stack.host_layouts, list(stack.mig_manager_layouts)) == ({}, ["gpu"])
