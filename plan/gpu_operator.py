"""The GPU Operator's Helm release: chart, values, and MIG Manager's configuration when it owns the instances."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from plan.mig_manager import config_map_name, mig_parted_config
from plan.node import NodePlan
from plan.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuOperatorPlan:
    """The arguments of the release."""

    chart: str
    repository: str | None
    version: str
    namespace: str
    values: dict[str, Any]
    timeout_seconds: int
    mig_config_map: str | None
    """The ConfigMap MIG Manager reads; None where the host owns MIG."""


def gpu_operator_plan(settings: Settings, nodes: Iterable[NodePlan]) -> GpuOperatorPlan:
    """The release for these machines."""
    source = settings.sources.gpu_operator_chart
    config = mig_parted_config(nodes) if settings.mig.owner == "operator" else None
    is_repository = source.startswith(("https://", "http://"))
    return GpuOperatorPlan(
        chart="gpu-operator" if is_repository else source,
        repository=source if is_repository else None,
        version=settings.gpu_operator.version,
        namespace=settings.gpu_operator.namespace,
        values=merged(settings.gpu_operator.values, _managed_values(settings, config)),
        timeout_seconds=settings.gpu_operator.timeout_minutes * 60,
        mig_config_map=config and config_map_name(config),
    )


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings, merged at every depth; where they meet in a single value, `over` wins."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _managed_values(settings: Settings, mig_config: str | None) -> dict[str, Any]:
    # MIG Manager, once enabled, labels every node without a choice all-disabled and removes its instances.
    mig_manager: dict[str, Any] = {"enabled": False}
    if mig_config is not None:
        mig_manager = {
            "enabled": True,
            # A node without the label is left alone: it is being changed, or the host owned it until now.
            "config": {
                "create": True,
                "name": config_map_name(mig_config),
                "default": "",
                "data": {"config.yaml": mig_config},
            },
        }
    return {
        "driver": {"enabled": False},
        "toolkit": {"enabled": False},
        "mig": {"strategy": settings.mig.strategy},
        "migManager": mig_manager,
    }
