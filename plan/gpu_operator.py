"""The GPU Operator's Helm release: chart, values, and MIG Manager's configuration when it owns the instances."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from plan.layout import Layout
from plan.node import NodePlan
from plan.settings import Settings
from plan.yaml_text import yaml_text

CONFIG_NAME = "mig-k8s"


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuOperatorPlan:
    """The arguments of the release."""

    chart: str
    repository: str | None
    version: str
    namespace: str
    values: dict[str, Any]
    timeout_seconds: int


def gpu_operator_plan(settings: Settings, nodes: Iterable[NodePlan]) -> GpuOperatorPlan:
    """The release for these machines."""
    source = settings.sources.gpu_operator_chart
    is_repository = source.startswith(("https://", "http://"))
    return GpuOperatorPlan(
        chart="gpu-operator" if is_repository else source,
        repository=source if is_repository else None,
        version=settings.gpu_operator.version,
        namespace=settings.gpu_operator.namespace,
        values=merged(settings.gpu_operator.values, _managed_values(settings, nodes)),
        timeout_seconds=settings.gpu_operator.timeout_minutes * 60,
    )


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings, merged at every depth; where they meet in a single value, `over` wins."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _managed_values(settings: Settings, nodes: Iterable[NodePlan]) -> dict[str, Any]:
    # MIG Manager, once enabled, labels every node without a choice all-disabled and removes its instances.
    mig_manager: dict[str, Any] = {"enabled": False}
    if settings.mig.owner == "operator":
        mig_manager = {
            "enabled": True,
            "env": [{"name": "WITH_REBOOT", "value": "true"}],
            "config": {
                "create": True,
                "name": CONFIG_NAME,
                "default": "",
                "data": {"config.yaml": mig_parted_config(nodes)},
            },
        }
    return {
        "driver": {"enabled": False},
        "toolkit": {"enabled": False},
        "mig": {"strategy": settings.mig.strategy},
        "migManager": mig_manager,
    }


def mig_parted_config(nodes: Iterable[NodePlan]) -> str:
    """MIG Manager's configuration (mig-parted, version v1): one named layout per node pool."""
    configs: dict[str, Any] = {"all-disabled": [{"devices": "all", "mig-enabled": False}]}
    for node in nodes:
        if node.mig_config is not None and node.gpu_layout is not None:
            configs[node.mig_config] = _mig_parted_layout(node.gpu_layout)
    return yaml_text({"version": "v1", "mig-configs": configs})


def _mig_parted_layout(layout: Layout) -> list[dict[str, Any]]:
    return [
        {
            "devices": [gpu.index],
            "mig-enabled": gpu.mode,
            "mig-devices": dict(Counter(instance.profile for instance in gpu.instances)),
        }
        for gpu in layout.gpus
    ]
