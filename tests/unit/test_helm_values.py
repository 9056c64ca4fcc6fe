"""The Helm values that a stack may give: those of the chart's table, of their types."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plan import StackPlan
from plan.secret_values import unmarked
from plan.stack_file.document import read_stack_file

ROOT = Path(__file__).parents[2]
TABLE: dict[str, Any] = {
    key: kind
    for name in ("values", "nfd-values")
    for key, kind in yaml.safe_load(
        (ROOT / f"plan/stack_file/data/gpu-operator-v26.7-{name}.yaml").read_text(encoding="utf-8")
    ).items()
}
DECIDED = {"driver", "toolkit", "mig", "migManager.enabled", "migManager.config", "cdi.nriPluginEnabled"}
"""What the program decides itself."""
SAMPLES: dict[str, Any] = {
    "boolean": True,
    "string": "text",
    "integer": 3,
    "list": [{"name": "A", "value": "b"}],
    "object": {"a": {"b": 1}},
    "any": {"sources": {"custom": []}},
}

Planned = Callable[..., StackPlan]
Report = Callable[..., str]


def leaves(known: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every value of the table, as (path, type)."""
    for key, below in known.items():
        path = f"{above}{key}"
        yield from leaves(below, f"{path}.") if isinstance(below, dict) else [(path, below)]


LEAVES = [leaf for leaf in leaves(TABLE) if not any(f"{leaf[0]}.".startswith(f"{path}.") for path in DECIDED)]


def nested(path: str, value: object) -> dict[str, Any]:
    """The values that say `value` at this path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _join(whole: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and key in whole:
            _join(whole[key], value)
        else:
            assert key not in whole, key
            whole[key] = value


def test_every_value_of_the_table_is_taken(planned: Planned) -> None:
    """Of its type, as text that may be a number, and as null, by which Helm forgets a default."""
    assert len(LEAVES) > 400
    deploys = {"clusterPolicy.deployCR", "gpuCluster.deployCR"}
    of_data = "devicePlugin.config.data"  # a rule of its own reads it together with the values beside it
    for values in (
        {path: SAMPLES[kind] for path, kind in LEAVES if path not in {*deploys, of_data}},
        {path: SAMPLES[kind] for path, kind in LEAVES if path == of_data},
        {path: None for path, _ in LEAVES},
        {path: 1 for path, kind in LEAVES if kind == "string"},
        {path: 0.5 for path, kind in LEAVES if kind == "string"},
    ):
        whole: dict[str, Any] = {}
        for path, value in values.items():
            _join(whole, nested(path, value))
        assert planned(gpuOperator={"values": whole}).warnings == ()


@pytest.mark.parametrize(
    "path",
    [
        # What only the chart's templates read.
        "validator.cuda.env", "operator.metrics.serviceMonitor", "dcgmExporter.config.name", "fullnameOverride",
        "hostPaths.kubeletRootDir", "dcgmExporter.podLabelAllowlistRegex", "operator.defaultGPUMode", "gfd.args",
        # What the subchart has of its own.
        "node-feature-discovery.image.repository", "node-feature-discovery.worker.mountUsrSrc",
        "node-feature-discovery.master.resources", "node-feature-discovery.prometheus.enable",
        "node-feature-discovery.worker.config", "node-feature-discovery.topologyUpdater.podSetFingerprint",
    ],
)  # fmt: skip
def test_the_table_has_the_keys_that_values_yaml_does_not_show(path: str) -> None:
    assert path in dict(LEAVES)


@pytest.mark.parametrize(
    "values",
    [
        {
            "node-feature-discovery": {
                "worker": {"config": {"sources": {"custom": [], "pci": {"deviceLabelFields": []}}}}
            }
        },
        {"node-feature-discovery": {"worker": {"resources": {"limits": {"cpu": "1"}}}}},
        {"node-feature-discovery": {"master": {"affinity": {"podAntiAffinity": {}}}}},
        {"node-feature-discovery": {"image": {"tag": "v0.19.0"}}},
        {"clusterPolicy": {"deployCR": True}, "gpuCluster": {"deployCR": False}},
        {"cdi": {"enabled": True, "nriPluginEnabled": False}},
        {"validator": {"cuda": {"env": [{"name": "WITH_WORKLOAD", "value": "false"}]}}},
        {"migManager": {"repository": "registry.example.org/nvidia", "env": []}},
        {"daemonsets": {"rollingUpdate": {"maxUnavailable": 2}}},
        {"global": {"imagePullSecrets": []}},
    ],
    ids=str,
)
def test_legal_values_are_taken(planned: Planned, values: dict[str, Any]) -> None:
    taken = unmarked(planned(gpuOperator={"values": values}).gpu_operator.values)
    for section, given in values.items():
        assert taken[section].items() >= given.items()


def test_null_for_a_section_is_helms_own_way_to_forget_it(planned: Planned) -> None:
    operator = planned(gpuOperator={"values": {"dcgmExporter": None, "migManager": None}}).gpu_operator
    assert operator.values["dcgmExporter"] is None
    assert operator.values["migManager"] == {"enabled": False}


@pytest.mark.parametrize("version", ["v26.3.1", "v26.6.0", "v26.7.2", "v27.1.0"])
def test_a_chart_without_a_table_gets_one_dated_warning_and_no_refusal(planned: Planned, version: str) -> None:
    values = {"dcgmExporter": {"brandNew": True, "enabled": "yes"}, "gfd": {"env": []}}
    stack = planned(gpuOperator={"version": version, "values": values})
    assert stack.gpu_operator.values["dcgmExporter"] == values["dcgmExporter"]
    (warning,) = [each for each in stack.warnings if each.path == "mig-k8s:gpuOperator.values"]
    assert (warning.what, warning.remedy) == (
        (
            f"not checked: this program has the keys of chart v26.7.0 (as of 2026-11-26), not those of {version}. "
            "Unknown to v26.7.0, or of another type there: dcgmExporter.brandNew, dcgmExporter.enabled"
        ),
        f"Compare with: helm show values gpu-operator --version {version}",
    )


def test_a_chart_without_a_table_and_without_values_needs_no_warning(planned: Planned) -> None:
    assert planned(gpuOperator={"version": "v26.7.2"}).warnings == ()


def test_what_the_program_decides_is_refused_whatever_the_chart(report: Report) -> None:
    text = report(gpuOperator={"version": "v26.7.2", "values": {"driver": {"enabled": True}}})
    assert "mig-k8s:gpuOperator.values.driver: " in text


DEPLOYED = {
    "operator": "repository",
    "validator": "repository",
    "devicePlugin": "repository",
    "gfd": "repository",
    "dcgm": "repository",
    "dcgmExporter": "repository",
    "nodeStatusExporter": "repository",
    "gds": "repository",
    "gdrcopy": "repository",
    "node-feature-discovery": "image.repository",
}
"""The parts of the chart with an image that a cluster can have when the host brings driver and toolkit."""
NEVER = {
    "driver", "toolkit", "migManager",  # the host's
    "vgpuManager", "vgpuDeviceManager", "vfioManager", "kataManager", "sandboxDevicePlugin", "kataSandboxDevicePlugin",
    "ccManager",  # only with sandboxWorkloads, which is off
    "draDriver",  # only with gpuCluster.deployCR, which excludes the ClusterPolicy
}  # fmt: skip


def test_the_air_gapped_example_takes_every_image_from_its_mirror() -> None:
    """By the table of keys: a part with an image that comes with a new chart must be put into one of the two sets."""
    images = {path.split(".")[0] for path, _ in leaves(TABLE) if path.endswith(("repository", "image.repository"))}
    assert images == DEPLOYED.keys() | NEVER
    mapping = read_stack_file(ROOT / "examples/air-gapped.yaml").mapping
    values = mapping["gpuOperator"]["values"]
    for part, path in DEPLOYED.items():
        found: Any = values[part]
        for key in path.split("."):
            found = found[key]
        assert found.startswith("registry.example.org/"), part
    assert not values.keys() & NEVER
    assert mapping["mig"].get("owner", "host") == "host"
    assert mapping["verify"]["image"].startswith("registry.example.org/")
    assert mapping["rke2"]["config"]["system-default-registry"] == "registry.example.org"
    outside = [address for address in mapping["sources"].values() if "example.org" not in address]
    assert outside == []
