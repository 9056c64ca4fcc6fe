"""Time-slicing: how many pods share a device, by the device plugin's configuration among the GPU Operator's values.

Read as NVIDIA/k8s-device-plugin v0.20 reads it (api/config/v1, internal/lm/resource.go): it ignores `rename` and
`devices`, and a resource with `renameByDefault` gets `.shared` behind its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_PREFIX = "nvidia.com/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """How many pods share a device, by resource. A device of a resource that is not in `replicas` is for one pod."""

    replicas: Mapping[str, int] = field(default_factory=dict)
    renamed: bool = False

    def of(self, resource: str) -> int:
        """How many pods share a device of this resource."""
        return self.replicas.get(resource, 1)

    def name(self, resource: str) -> str:
        """How the node advertises this resource."""
        return f"{resource}.shared" if self.renamed and resource in self.replicas else resource

    def product(self, resource: str, product: str) -> str:
        """The product label of this resource."""
        return f"{product}-SHARED" if self.of(resource) > 1 and not self.renamed else product


def sharing(config: object) -> Sharing:
    """What `devicePlugin.config` says of every node: `default` names one of its configurations.

    Without `default` a node has no configuration until somebody labels it. The content of a ConfigMap that the author
    made is not known here.
    """
    if not isinstance(config, Mapping) or not config.get("create"):
        return Sharing()
    chosen = (config.get("data") or {}).get(config.get("default") or "")
    return Sharing() if chosen is None else read(chosen)


def read(text: object) -> Sharing:
    """The sharing of one configuration. Raises ValueError with the reason for which the device plugin would end."""
    try:
        whole = (yaml.safe_load(text) or {}) if isinstance(text, str) else None
    except yaml.YAMLError:
        raise ValueError("is not YAML") from None
    if not isinstance(whole, Mapping):
        raise ValueError("is not a mapping written as text")
    if whole.get("version", "v1") != "v1":
        raise ValueError("has another version than v1")
    slices = _mapping(_mapping(whole, "sharing"), "timeSlicing")
    if slices is None:
        return Sharing()
    resources = slices.get("resources")
    if not isinstance(resources, list) or not resources:
        raise ValueError("shares nothing: timeSlicing has no resources")
    return Sharing(replicas=dict(map(_replicas, resources)), renamed=slices.get("renameByDefault") is True)


def _mapping(above: Mapping[str, Any] | None, key: str) -> Mapping[str, Any] | None:
    value = above.get(key) if above is not None else None
    return value if isinstance(value, Mapping) else None


def _replicas(entry: object) -> tuple[str, int]:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    count = entry.get("replicas") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or type(count) is not int or count < 1:
        raise ValueError("has a timeSlicing resource without a name or without replicas, a number from 1")
    return (name if name.startswith(_PREFIX) else f"{_PREFIX}{name}"), count
