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


WITHOUT_WORKLOAD = {"cuda": {"env": [{"name": "WITH_WORKLOAD", "value": "false"}]}}


@pytest.mark.parametrize("owner", ["host", "operator"])
def test_the_operators_validator_does_not_compute_where_cuda_finds_no_device(planned: Planned, owner: str) -> None:
    """MIG mode on without instances (gpu-operator#382): its CUDA validation would never pass."""
    operator = planned(
        mig={"strategy": "none", "owner": owner}, nodePools=[{"name": "a", "migDevices": {}}]
    ).gpu_operator
    assert operator.values["validator"] == WITHOUT_WORKLOAD
    assert operator.reasons == {
        "validator.cuda.env": "on a machine whose GPUs have MIG mode on and no instances CUDA finds no device, so the"
        " operator would never be ready: its validator does not try"
    }


@pytest.mark.parametrize(
    ("strategy", "pool"),
    [
        ("none", {}),
        (
            "none",
            {"vmSize": "Standard_NC48ads_A100_v4", "gpus": [{"devices": [0], "migDevices": {}}]},
        ),  # GPU 1 computes
        ("single", {"migDevices": {"1g.10gb": 7}}),
    ],
)
def test_where_cuda_finds_a_device_the_validator_computes(
    planned: Planned, strategy: str, pool: dict[str, object]
) -> None:
    operator = planned(mig={"strategy": strategy}, nodePools=[{"name": "a", **pool}]).gpu_operator
    assert "validator" not in operator.values
    assert operator.reasons == {}


def test_a_stack_may_say_itself_what_the_program_decides_of_the_validator_and_nothing_else(
    planned: Planned, report: Callable[..., str]
) -> None:
    stack = {"mig": {"strategy": "none"}, "nodePools": [{"name": "a", "migDevices": {}}]}
    operator = planned(**stack, gpuOperator={"values": {"validator": WITHOUT_WORKLOAD}}).gpu_operator
    assert operator.values["validator"] == WITHOUT_WORKLOAD
    other = {"validator": {"cuda": {"env": [{"name": "WITH_WORKLOAD", "value": "true"}]}}}
    said = " ".join(report(**stack, gpuOperator={"values": other}).split())
    assert "mig-k8s:gpuOperator.values.validator.cuda.env:" in said
    assert "this program decides it: on a machine whose GPUs have MIG mode on and no instances" in said


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
def test_tolerations_that_are_not_a_list_count_as_none_given(planned: Planned, daemon_sets: object) -> None:
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
        ("https://10.99.0.1/charts", "gpu-operator", "https://10.99.0.1/charts"),
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
