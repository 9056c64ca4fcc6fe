"""The GPU Operator's Helm release: chart, values, and MIG Manager's configuration when it owns the instances."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from plan.cluster.managed_values import managed_values, shown_reasons
from plan.cluster.mig_manager import config_map_name, mig_parted_config
from plan.machine.node import NodePlan
from plan.secret_values import marked
from plan.stack_file.settings import Settings
from plan.stack_file.values.names import taint_key_and_effect

# A list given to Helm replaces the chart's own, so these begin with what charts v26.3 to v26.7 tolerate by themselves.
_GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
_DAEMON_SETS = (_GPU_TAINT,)
_NFD_WORKERS = (
    {"key": "node-role.kubernetes.io/control-plane", "operator": "Equal", "value": "", "effect": "NoSchedule"},
    _GPU_TAINT,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuOperatorPlan:
    """The arguments of the release."""

    chart: str
    repository: str | None
    version: str
    namespace: str
    values: dict[str, Any]
    """Values that may be secret are `Hidden`."""
    reasons: dict[str, str]
    """Path of a value -> why this stack has it."""
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
        values=merged(marked(settings.gpu_operator.values), managed_values(settings, config) | _tolerations(settings)),
        reasons=shown_reasons(settings),
        timeout_seconds=settings.gpu_operator.timeout_minutes * 60,
        mig_config_map=config and config_map_name(config),
    )


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge both mappings at every depth; where both have a value that is not a mapping, `over` wins."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def value_at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever the author wrote
    """The value at `path` below `values`; None where there is none."""
    found: Any = values
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _tolerations(settings: Settings) -> dict[str, Any]:
    """Values that let the operator's pods onto the pools' tainted machines; none where the chart's own do."""
    ours = [toleration for toleration in _tolerated(settings) if toleration != _GPU_TAINT]
    if not ours:
        return {}
    given = settings.gpu_operator.values
    daemon_sets = value_at(given, ("daemonsets", "tolerations"))
    workers = value_at(given, ("node-feature-discovery", "worker", "tolerations"))
    return {
        "daemonsets": {"tolerations": [*_or_default(daemon_sets, _DAEMON_SETS), *ours]},
        "node-feature-discovery": {"worker": {"tolerations": [*_or_default(workers, _NFD_WORKERS), *ours]}},
    }


def _or_default(given: object, default: Iterable[object]) -> Iterable[object]:
    """The stack's own list, or the chart's default where the stack gives no list."""
    return given if isinstance(given, list) else default


def _tolerated(settings: Settings) -> list[dict[str, str]]:
    """A toleration for each taint of a pool with GPUs: `key=value:Effect`, whatever its value, each once."""
    taints = [taint for pool in settings.node_pools if pool.size.gpu_count for taint in pool.node_taints]
    pairs = dict.fromkeys(map(taint_key_and_effect, taints))
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in pairs]
