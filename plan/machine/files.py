"""Everything of ours on a machine: the static files of cloud-init/ and the few that are rendered."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plan.machine import rke2
from plan.machine.desired_state import desired_json
from plan.machine.node import NodePlan
from plan.yaml_text import yaml_text

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_LIBRARY = "/usr/local/lib/mig-k8s"
_STATIC = {
    "cloud-init/sbin/mig-k8s": ("/usr/local/sbin/mig-k8s", "0755"),
    "cloud-init/sbin/mig-apply": ("/usr/local/sbin/mig-apply", "0755"),
    "cloud-init/sbin/mig-verify": ("/usr/local/sbin/mig-verify", "0755"),
    "cloud-init/stages/apt": (f"{_LIBRARY}/stages/apt", "0755"),
    "cloud-init/stages/driver": (f"{_LIBRARY}/stages/driver", "0755"),
    "cloud-init/stages/toolkit": (f"{_LIBRARY}/stages/toolkit", "0755"),
    "cloud-init/stages/mig-mode": (f"{_LIBRARY}/stages/mig-mode", "0755"),
    "cloud-init/stages/rke2": (f"{_LIBRARY}/stages/rke2", "0755"),
    "cloud-init/units/mig-k8s-converge.service": ("/etc/systemd/system/mig-k8s-converge.service", "0644"),
    "cloud-init/units/mig-k8s-instances.service": ("/etc/systemd/system/mig-k8s-instances.service", "0644"),
}
BROUGHT_LATER = frozenset({"/usr/local/sbin/mig-verify"})
"""Run over SSH only, after the bundle has brought them: a quarter of the user-data they would fill."""
UNITS = ("mig-k8s-converge.service", "mig-k8s-instances.service")


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineFile:
    """A file on a machine, owned by root."""

    path: str
    mode: str
    content: str


def machine_files(node: NodePlan, *, public_address: str) -> tuple[MachineFile, ...]:
    """All files of a machine, static ones first. Raises FileNotFoundError when the checkout is incomplete."""
    config = yaml_text(rke2.config(node, public_address=public_address))
    return (
        *_static_files(),
        MachineFile(path="/etc/mig-k8s/desired.json", mode="0600", content=desired_json(node)),
        MachineFile(path="/etc/rancher/rke2/config.yaml", mode="0600", content=config),
    )


def bundle(node: NodePlan, *, public_address: str) -> str:
    """The same files as the JSON that `mig-k8s update` reads."""
    files = [
        {"path": file.path, "mode": file.mode, "content": file.content}
        for file in machine_files(node, public_address=public_address)
    ]
    return json.dumps({"version": 1, "files": files})


@cache
def _static_files() -> tuple[MachineFile, ...]:
    missing = [source for source in _STATIC if not (_REPOSITORY / source).is_file()]
    if missing:
        raise FileNotFoundError(f"this checkout lacks {', '.join(missing)}: a machine cannot be made without them")
    return tuple(
        MachineFile(path=path, mode=mode, content=(_REPOSITORY / source).read_text(encoding="utf-8"))
        for source, (path, mode) in _STATIC.items()
    )
