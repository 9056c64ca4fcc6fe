"""The GPU Operator's MIG Manager as the owner of the instances: its configuration, and what each machine is told of it.

MIG Manager acts on a change of the node label nvidia.com/mig.config, and does not notice that what a name means has
changed. So the name of a layout depends on its content. The name that a node registers with never changes, so that
RKE2's config.yaml stays the same and RKE2 does not restart.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from plan.gpu.layout import Layout
from plan.machine.node import NodePlan
from plan.yaml_text import yaml_text


def layout_name(node: NodePlan) -> str:
    """The name of this very layout in MIG Manager's configuration, and the value of the node's label.

    It is an error to ask for it where MIG Manager does not make the instances.
    """
    layout = manager_layout(node)
    return f"mig-k8s-{node.pool[:46]}-{_digest(json.dumps([node.pool, _entry(layout)], sort_keys=True))}"


def mig_parted_config(nodes: Iterable[NodePlan]) -> str:
    """The file mig-parted reads (version v1): each pool's layout, by its own name and by that of registration.

    It has no other entry: `all-disabled` above all would turn off the MIG mode that the machine turns on.
    """
    configs = {
        name: _entry(manager_layout(node))
        for node in nodes
        if node.mig_config is not None
        for name in (node.mig_config, layout_name(node))
    }
    return yaml_text({"version": "v1", "mig-configs": configs})


def config_map_name(config: str) -> str:
    """A name for the ConfigMap that depends on its content: with another name the operator starts MIG Manager anew,
    which has then read it. A changed ConfigMap reaches a running pod a minute or two later, and nothing says when."""
    return f"mig-k8s-{_digest(config)}"


def manager_layout(node: NodePlan) -> Layout:
    """The layout that MIG Manager makes on a machine. It is an error to ask for it where the host makes it."""
    if node.layout is None or node.mig_owner != "operator":
        raise ValueError(f"MIG Manager does not make the instances of {node.name}")
    return node.layout


def _entry(layout: Layout) -> list[dict[str, Any]]:
    return [
        {
            "devices": [gpu.index],
            "mig-enabled": gpu.mode,
            "mig-devices": dict(Counter(instance.profile for instance in gpu.instances)),
        }
        for gpu in layout.gpus
    ]


def _digest(text: str) -> str:
    """Short: a Kubernetes label holds 63 characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
