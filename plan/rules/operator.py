"""What a stack may give as the operator's values: what the chart takes, but nothing that this program decides."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from plan.cluster import sharing
from plan.cluster.gpu_operator import value_at
from plan.cluster.managed_values import MANAGED_VALUES
from plan.problems import Problem, Refusal, names_a_secret, nearest_word
from plan.secret_values import marked
from plan.stack_file import strict_yaml
from plan.stack_file.settings import Settings
from plan.stack_file.shapes import shown
from plan.stack_file.values.releases import AS_OF

_HOST_TOOLKIT: dict[tuple[str, ...], tuple[str, object]] = {
    ("cdi", "nriPluginEnabled"): ("the chart takes it only with its own toolkit, and the host brings that", False),
}
_GONE: dict[tuple[str, ...], tuple[str, object]] = {
    ("operator", "defaultRuntime"): ("the operator finds the runtime itself since v25.3", None)
}
_DATA = Path(__file__).parent.parent / "stack_file/data"
_KEY_TABLES = ("gpu-operator-v26.7-values.yaml", "gpu-operator-v26.7-nfd-values.yaml")
_KEY_TABLE_RELEASE = "v26.7.0"
_PODS_OF_A_NODE = 110


def managed_helm_values(settings: Settings) -> Iterator[Problem]:
    """gpuOperator.values that this program decides, and those the chart dropped."""
    always = {each.path: (each.reason, each.fine) for each in MANAGED_VALUES if each.applies is None}
    yield from _decided(settings, "this program decides it: ", always)
    yield from _decided(settings, "", _HOST_TOOLKIT)
    yield from _decided(settings, "the chart no longer has it: ", _GONE)


def helm_values_decided_by_layouts(settings: Settings) -> Iterator[Problem]:
    """gpuOperator.values that this program decides for some strategies and layouts only."""
    conditional = (each for each in MANAGED_VALUES if each.applies is not None and each.applies(settings))
    table = {each.path: (each.reason, each.fine) for each in conditional}
    yield from _decided(settings, "this program decides it: ", table)


def _decided(settings: Settings, text: str, table: Mapping[tuple[str, ...], tuple[str, object]]) -> Iterator[Problem]:
    for path, (reason, fine) in table.items():
        value = value_at(settings.gpu_operator.values, path)
        if value is not None and value != fine:
            yield Refusal(text + reason, remedy="Leave it out.").at(
                f"mig-k8s:gpuOperator.values.{'.'.join(path)}", shown(marked(value, path[-1]))
            )


def unknown_helm_values(settings: Settings) -> Iterator[Problem]:
    """Values that the stack's chart does not have, or not of this type. Helm itself takes any value silently."""
    operator = settings.gpu_operator
    if operator.version == _KEY_TABLE_RELEASE:
        yield from _unfit(operator.values, _chart_keys(), ())


def unchecked_helm_values(settings: Settings) -> Iterator[Problem]:
    """A warning where values are given to a chart whose keys this program does not have."""
    operator = settings.gpu_operator
    if not operator.values or operator.version == _KEY_TABLE_RELEASE:
        return
    root = "mig-k8s:gpuOperator.values"
    unknown = [problem.path.removeprefix(f"{root}.") for problem in _unfit(operator.values, _chart_keys(), ())]
    yield Problem(
        path=root,
        value="",
        what=f"not checked: this program has the keys of chart {_KEY_TABLE_RELEASE} (as of {AS_OF}), not those of "
        + operator.version
        + (f". Unknown to {_KEY_TABLE_RELEASE}, or of another type there: {', '.join(unknown)}" if unknown else ""),
        remedy=f"Compare with: helm show values gpu-operator --version {operator.version}",
    )


def _unfit(values: Mapping[str, Any], known: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[Problem]:
    for key, value in values.items():
        path = (*above, key)
        place = f"mig-k8s:gpuOperator.values.{'.'.join(path)}"
        below = known.get(key)
        if below is None:
            if path not in _GONE and path != ("global",):
                near = nearest_word(key, known)
                yield Refusal(
                    f"unknown to chart {_KEY_TABLE_RELEASE}",
                    allowed=", ".join(known),
                    remedy=f"Did you mean {near}?" if near else "Leave it out.",
                    hide=names_a_secret(key),
                ).at(place, shown(marked(value, key)))
        elif value is None:
            continue  # null tells Helm to drop a default
        elif isinstance(below, Mapping):
            if isinstance(value, Mapping):
                yield from _unfit(value, below, path)
            else:
                yield Refusal("must be a mapping", allowed=", ".join(below)).at(place, shown(marked(value, key)))
        elif not _is_of(value, below):
            yield Refusal(f"must be {_SPOKEN[below]}", allowed=_SPOKEN[below]).at(place, shown(marked(value, key)))


_SPOKEN = {
    "boolean": "true or false",
    "string": "text",
    "integer": "a whole number",
    "list": "a list",
    "object": "a mapping",
}
_TYPES: dict[str, type[object] | tuple[type[object], ...]] = {
    "boolean": bool,
    "integer": int,
    "string": (str, int, float),  # a default that is text may as well take a number: `maxUnavailable: 1`
    "list": list,
    "object": dict,
}


def _is_of(value: object, kind: str) -> bool:
    if kind == "any":
        return True
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


@cache
def _chart_keys() -> dict[str, Any]:
    tables = (strict_yaml.load((_DATA / name).read_text(encoding="utf-8"), name=name) for name in _KEY_TABLES)
    return {key: kind for table in tables if isinstance(table, dict) for key, kind in table.items()}


def devices_by_environment(settings: Settings) -> Iterator[Problem]:
    """Values by which the device plugin gives devices in a variable, which the machines' toolkit does not take."""
    if settings.toolkit.device_list_from_environment:
        return
    for path, value in _without_cdi(settings).items():
        yield Refusal(
            "pods would not get their devices: the container toolkit takes NVIDIA_VISIBLE_DEVICES from privileged"
            " containers only, so the device plugin has to give devices to pods by CDI",
            remedy="Leave it out, or write toolkit: {deviceListFromEnvironment: true}.",
        ).at(f"mig-k8s:gpuOperator.values.{path}", value)


def _without_cdi(settings: Settings) -> dict[str, str]:
    """The values by which the device plugin gives devices in a variable and not by CDI. By default it uses CDI."""
    values, found = settings.gpu_operator.values, {}
    if value_at(values, ("cdi", "enabled")) is False:
        found["cdi.enabled"] = "false"
    variables = value_at(values, ("devicePlugin", "env"))
    for variable in variables if isinstance(variables, list) else ():
        if isinstance(variable, Mapping) and variable.get("name") == "DEVICE_LIST_STRATEGY":
            strategy = str(variable.get("value"))
            if "cdi" not in strategy:
                found["devicePlugin.env"] = f"DEVICE_LIST_STRATEGY={strategy}"
    return found


def sharing_that_cannot_be(settings: Settings) -> Iterator[Problem]:
    """Configurations for which the device plugin would end: MPS with MIG, or a text that it cannot read."""
    config = value_at(settings.gpu_operator.values, ("devicePlugin", "config"))
    if not isinstance(config, Mapping):
        return
    place = "mig-k8s:gpuOperator.values.devicePlugin.config"
    if re.search(r"\bmps\b", json.dumps(config)):
        yield Refusal(
            "the device plugin refuses MPS on MIG devices", remedy="Use time-slicing, or smaller instances."
        ).at(place, shown(config))
        return
    data, default = config.get("data"), config.get("default")
    if not config.get("create") or not isinstance(data, Mapping):
        return
    for key, text in data.items():
        try:
            sharing.read(text)
        except ValueError as error:
            yield Refusal(
                f"the device plugin would not start: this {error}",
                remedy="Write it as in NVIDIA/k8s-device-plugin, e.g."
                " 'sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 2}]}}'.",
            ).at(f"{place}.data.{key}", shown(text))
    if default and default not in data:
        yield Refusal("no configuration of this name", allowed=", ".join(data)).at(f"{place}.default", shown(default))


def pods_of_the_verification(settings: Settings) -> Iterator[Problem]:
    """A warning where the verification has more pods on a machine than a kubelet takes: one for each replica."""
    config = value_at(settings.gpu_operator.values, ("devicePlugin", "config"))
    replicas = max(sharing.sharing(config).replicas.values(), default=1)
    for number, pool in enumerate(settings.node_pools) if settings.verify.enabled and replicas > 1 else ():
        wanted = [pool.wanted(index) for index in range(pool.size.gpu_count)]
        pods = replicas * sum(1 if devices is None else sum(devices.values()) for devices in wanted)
        if pods > _PODS_OF_A_NODE:
            yield Problem(
                path="mig-k8s:gpuOperator.values.devicePlugin.config",
                value=shown(config),
                what=f"the verification has a pod for each replica, up to {pods} on a machine of nodePools[{number}];"
                f" a kubelet takes {_PODS_OF_A_NODE} unless it is told otherwise",
                remedy="Write fewer replicas, max-pods in rke2.config, or verify: {enabled: false}.",
            )


def gpus_that_cdi_does_not_know(settings: Settings) -> Iterator[Problem]:
    """A warning for GPUs in MIG mode that strategy none offers as whole ones.

    The specification is that of NVIDIA's library (container toolkit 1.20.2, nvcdi), which leaves out such a GPU.
    """
    if settings.mig.strategy != "none" or _without_cdi(settings):
        return
    for number, pool in enumerate(settings.node_pools):
        if any(pool.wanted(index) == {} for index in range(pool.size.gpu_count)):
            yield Problem(
                path=f"mig-k8s:nodePools[{number}]",
                value=shown(pool.name),
                what="strategy none offers its GPU in MIG mode as nvidia.com/gpu, and a pod that requests it does not"
                " start: devices are given to pods by CDI, whose specification leaves out a GPU in MIG mode",
                remedy="Leave migDevices out (MIG off), or write toolkit: {deviceListFromEnvironment: true} and"
                " gpuOperator: {values: {cdi: {enabled: false}}}.",
            )
