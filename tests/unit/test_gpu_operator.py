"""The GPU Operator's release, and MIG Manager's configuration when it owns the instances."""

from collections.abc import Callable

import pytest
import yaml

from plan import StackPlan
from plan.cluster.gpu_operator import merged

Planned = Callable[..., StackPlan]


def test_host_owned_mig_turns_mig_manager_off(planned: Planned) -> None:
    """Its default removes instances made by hand; driver and toolkit are the host's."""
    operator = planned().gpu_operator
    assert operator.values == {
        "driver": {"enabled": False},
        "toolkit": {"enabled": False},
        "mig": {"strategy": "single"},
        "migManager": {"enabled": False},
    }
    assert (operator.chart, operator.repository) == ("gpu-operator", "https://helm.ngc.nvidia.com/nvidia")
    assert (operator.version, operator.namespace, operator.timeout_seconds) == ("v26.7.0", "gpu-operator", 1800)
    assert operator.mig_config_map is None


def test_operator_owned_mig_turns_mig_manager_on_with_our_layouts_as_its_only_configuration(planned: Planned) -> None:
    """No reboot of its own, and a node without the label is left alone."""
    operator = planned(mig={"strategy": "mixed", "owner": "operator"}).gpu_operator
    manager = operator.values["migManager"]
    assert set(manager) == {"enabled", "config"}
    assert manager["enabled"] is True
    assert set(manager["config"]) == {"create", "name", "default", "data"}
    assert (manager["config"]["create"], manager["config"]["default"]) == (True, "")
    assert manager["config"]["name"] == operator.mig_config_map == "mig-k8s-39e5fc69"
    assert list(manager["config"]["data"]) == ["config.yaml"]
    assert yaml.safe_load(manager["config"]["data"]["config.yaml"])["version"] == "v1"


def test_values_of_the_stack_are_merged_below_those_of_the_program(planned: Planned) -> None:
    """At every depth."""
    values = {"dcgmExporter": {"enabled": False}, "operator": {"logging": {"level": "debug"}}}
    operator = planned(gpuOperator={"values": values}).gpu_operator
    assert operator.values["dcgmExporter"] == {"enabled": False}
    assert operator.values["operator"] == {"logging": {"level": "debug"}}
    assert operator.values["driver"] == {"enabled": False}


def test_a_tainted_pool_is_tolerated_besides_what_the_chart_tolerates(planned: Planned) -> None:
    """Or the operator would stay off the machines it is for. A list replaces the chart's, so it repeats it."""
    pool = {"nodeTaints": ["dedicated=training:NoSchedule", "dedicated=training:NoExecute"]}
    values = planned(nodePools=[pool]).gpu_operator.values
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ours = [
        {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "dedicated", "operator": "Exists", "effect": "NoExecute"},
    ]
    assert values["daemonsets"]["tolerations"] == [gpu, *ours]
    servers = {"key": "node-role.kubernetes.io/control-plane", "operator": "Equal", "value": "", "effect": "NoSchedule"}
    assert values["node-feature-discovery"]["worker"]["tolerations"] == [servers, gpu, *ours]


def test_the_stacks_own_tolerations_stay_in_front(planned: Planned) -> None:
    own = {"key": "mine", "operator": "Exists"}
    pool = {"nodeTaints": ["dedicated=training:NoSchedule"]}
    operator = planned(nodePools=[pool], gpuOperator={"values": {"daemonsets": {"tolerations": [own]}}}).gpu_operator
    assert operator.values["daemonsets"]["tolerations"] == [
        own,
        {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"},
    ]


@pytest.mark.parametrize("daemon_sets", [None, [], {"tolerations": None}, {"tolerations": "all"}])
def test_tolerations_that_are_no_list_count_as_none_given(planned: Planned, daemon_sets: object) -> None:
    """A chart without a table of keys takes anything; Helm takes null for the chart's own."""
    operator = planned(
        nodePools=[{"nodeTaints": ["dedicated=training:NoSchedule"]}],
        gpuOperator={"version": "v26.7.2", "values": {"daemonsets": daemon_sets}},
    ).gpu_operator
    assert [each["key"] for each in operator.values["daemonsets"]["tolerations"]] == ["nvidia.com/gpu", "dedicated"]


def test_mig_manager_takes_what_the_stack_says_of_it_besides_its_layouts(planned: Planned) -> None:
    """Such as the registry of its image."""
    values = {"migManager": {"repository": "registry.example.org/nvidia", "resources": {"limits": {"cpu": "1"}}}}
    host = planned(gpuOperator={"values": values}).gpu_operator.values["migManager"]
    assert host == {**values["migManager"], "enabled": False}
    owner = planned(mig={"owner": "operator"}, gpuOperator={"values": values}).gpu_operator.values["migManager"]
    assert (owner["enabled"], owner["repository"]) == (True, "registry.example.org/nvidia")
    assert owner["config"]["create"] is True


def test_the_taint_of_gpus_needs_no_word_of_ours(planned: Planned) -> None:
    values = planned(nodePools=[{"nodeTaints": ["nvidia.com/gpu=present:NoSchedule"]}]).gpu_operator.values
    assert "daemonsets" not in values


def test_merging_is_deep_and_the_second_wins() -> None:
    """Lists and single values are replaced, not joined."""
    base = {"a": {"x": 1, "y": [1]}, "b": 1}
    assert merged(base, {"a": {"y": [2], "z": 3}}) == {"a": {"x": 1, "y": [2], "z": 3}, "b": 1}
    assert base == {"a": {"x": 1, "y": [1]}, "b": 1}


@pytest.mark.parametrize(
    ("source", "chart", "repository"),
    [
        ("https://charts.example.org/nvidia/", "gpu-operator", "https://charts.example.org/nvidia"),
        ("http://10.99.0.1/charts", "gpu-operator", "http://10.99.0.1/charts"),
        ("oci://registry.example.org/charts/gpu-operator", "oci://registry.example.org/charts/gpu-operator", None),
        ("/srv/charts/gpu-operator-v26.7.0.tgz", "/srv/charts/gpu-operator-v26.7.0.tgz", None),
        ("./charts/gpu-operator", "./charts/gpu-operator", None),
    ],
)
def test_a_chart_comes_from_a_repository_a_registry_or_a_path(
    planned: Planned, source: str, chart: str, repository: str | None
) -> None:
    """The forms of sources.gpuOperatorChart."""
    operator = planned(sources={"gpuOperatorChart": source}).gpu_operator
    assert (operator.chart, operator.repository) == (chart, repository)
