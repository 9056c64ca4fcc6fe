"""The GPU Operator's Helm values that this program decides: each with its reason, and where its value comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from plan.cluster.mig_manager import config_map_name
from plan.stack_file.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedValue:
    """A value, or a whole section, that a stack file may not set."""

    path: tuple[str, ...]
    reason: str
    """Why it may not, in words for the author of the stack file."""
    produce: Callable[[Settings, str | None], Any] | None = None
    """Makes the value from the settings and MIG Manager's configuration. The chart's own default is right where this is
    None or returns None."""
    fine: object = None
    """What a stack file may say all the same: the chart's own default, or what this program decides."""
    applies: Callable[[Settings], bool] | None = None
    """Whether it is decided for this stack, and then shown with its reason. None: for every stack, and not shown."""


_WITHOUT_WORKLOAD = [{"name": "WITH_WORKLOAD", "value": "false"}]


def _has_machine_without_cuda(settings: Settings) -> bool:
    """Whether some machine has only GPUs with MIG mode on and without instances, as strategy none allows."""
    return settings.mig.strategy == "none" and any(
        pool.size.gpu_count and all(pool.wanted(gpu) is not None for gpu in range(pool.size.gpu_count))
        for pool in settings.node_pools
    )


def _mig_manager_config(_: Settings, mig_config: str | None) -> dict[str, Any] | None:
    if mig_config is None:
        return None
    return {
        "create": True,
        "name": config_map_name(mig_config),
        # A node without the label is left as it is: it is being changed, or the host owned it until now.
        "default": "",
        "data": {"config.yaml": mig_config},
    }


MANAGED_VALUES = (
    ManagedValue(
        path=("driver",),
        reason="the host brings the driver (driver.*)",
        produce=lambda _settings, _config: {"enabled": False},
    ),
    ManagedValue(
        path=("toolkit",),
        reason="the host brings the container toolkit (toolkit.*)",
        produce=lambda _settings, _config: {"enabled": False},
    ),
    ManagedValue(
        path=("mig",),
        reason="mig.strategy decides it",
        produce=lambda settings, _config: {"strategy": settings.mig.strategy},
    ),
    # MIG Manager, once enabled, labels every node without a choice all-disabled and removes its instances.
    ManagedValue(
        path=("migManager", "enabled"),
        reason="mig.owner decides it; MIG Manager removes instances made by hand",
        produce=lambda _settings, config: config is not None,
    ),
    ManagedValue(
        path=("migManager", "config"),
        reason="the layouts of nodePools decide it",
        produce=_mig_manager_config,
    ),
    ManagedValue(
        path=("validator", "cuda", "env"),
        reason="on a machine whose GPUs have MIG mode on and no instances CUDA finds no device, so the operator would"
        " never be ready: its validator does not try",
        produce=lambda settings, _config: _WITHOUT_WORKLOAD if _has_machine_without_cuda(settings) else None,
        fine=_WITHOUT_WORKLOAD,
        applies=_has_machine_without_cuda,
    ),
    ManagedValue(
        path=("clusterPolicy", "deployCR"),
        reason="without the ClusterPolicy nothing is deployed",
        fine=True,
    ),
    ManagedValue(
        path=("gpuCluster", "deployCR"),
        reason="it excludes the ClusterPolicy, and with it MIG",
        fine=False,
    ),
)


def managed_values(settings: Settings, mig_config: str | None) -> dict[str, Any]:
    """All managed values of a stack. `mig_config`: MIG Manager's configuration; None: the host makes the instances."""
    values: dict[str, Any] = {}
    for managed in MANAGED_VALUES:
        value = managed.produce(settings, mig_config) if managed.produce else None
        if value is not None:
            section = values
            for key in managed.path[:-1]:
                section = section.setdefault(key, {})
            section[managed.path[-1]] = value
    return values


def shown_reasons(settings: Settings) -> dict[str, str]:
    """Path -> reason of what is decided for this stack and not for every one."""
    shown = (managed for managed in MANAGED_VALUES if managed.applies is not None and managed.applies(settings))
    return {".".join(managed.path): managed.reason for managed in shown}
