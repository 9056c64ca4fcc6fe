"""The GPU Operator's MIG Manager as the owner of the instances: its configuration, and how a machine is handed to it.

MIG Manager acts on a change of the node label nvidia.com/mig.config, and does not notice that what a name means has
changed. So the name a layout is handed over by says its content, while the name a node registers with never changes:
RKE2's config.yaml does not, and RKE2 goes on running.
"""

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from plan.gpu.layout import Layout
from plan.machine.node import NodePlan
from plan.yaml_text import yaml_text

_SCRIPT = Path(__file__).resolve().parent.parent.parent / "cloud-init/remote/mig_owner.py"


def owner_script() -> str:
    """What runs on a machine before and after a change; read by `python3 -`."""
    return _script_text()


@cache
def _script_text() -> str:
    return _SCRIPT.read_text(encoding="utf-8")


def layout_name(node: NodePlan) -> str:
    """The name of this very layout in MIG Manager's configuration, and the node's label when it is handed over.

    It is an error to ask for it where MIG Manager does not make the instances.
    """
    return f"mig-k8s-{node.pool[:46]}-{_digest(json.dumps([node.pool, _entry(_layout(node))], sort_keys=True))}"


def mig_parted_config(nodes: Iterable[NodePlan]) -> str:
    """The file mig-parted reads (version v1): each pool's layout, by its own name and by that of registration.

    There is nothing else to choose. `all-disabled` above all would take the mode away that the machine keeps up.
    """
    configs = {
        name: _entry(_layout(node))
        for node in nodes
        if node.mig_config is not None
        for name in (node.mig_config, layout_name(node))
    }
    return yaml_text({"version": "v1", "mig-configs": configs})


def config_map_name(config: str) -> str:
    """A name for the ConfigMap by its content: with another one the operator starts MIG Manager anew, which is then
    known to have read it. A changed ConfigMap reaches a running pod a minute or two later, and nobody tells when."""
    return f"mig-k8s-{_digest(config)}"


def withdraw_command(node: NodePlan) -> str:
    """The command that frees a machine's GPUs before it changes."""
    return f"python3 - withdraw {_shell(_wish(node))}"


def hand_over_command(node: NodePlan, *, config_map: str, seconds: int) -> str:
    """The command that hands a machine over; `seconds` is how long MIG Manager may take to be there."""
    return f"python3 - hand-over {_shell(_wish(node) | {'configMap': config_map, 'seconds': seconds})}"


def _wish(node: NodePlan) -> dict[str, Any]:
    gpus = [
        {"index": gpu.index, "mode": gpu.mode, "profiles": dict(Counter(each.profile for each in gpu.instances))}
        for gpu in _layout(node).gpus
    ]
    return {"node": node.name, "config": layout_name(node), "onChange": node.on_change, "gpus": gpus}


def _layout(node: NodePlan) -> Layout:
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


def _shell(document: dict[str, Any]) -> str:
    return shlex.quote(json.dumps(document))


def _digest(text: str) -> str:
    """Short: a Kubernetes label holds 63 characters."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
