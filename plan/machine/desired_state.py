"""desired.json: what a machine shall be, for its converge path."""

import json
from typing import Any

from plan.machine.node import NodePlan
from plan.machine.rke2 import has_token


def desired_json(node: NodePlan) -> str:
    """The content of /etc/mig-k8s/desired.json. Nothing in it depends on the cloud or is secret."""
    settings = node.settings
    has_gpu = node.gpu_layout is not None
    driver = {
        "source": settings.driver.source,
        "branch": settings.driver.branch,
        "openKernelModules": settings.driver.open_kernel_modules,
    }
    toolkit = {"version": settings.toolkit.version, "apt": settings.sources.toolkit_apt}
    mig = {"mode": list(node.mode), "onChange": settings.mig.on_change}
    # MIG mode is the machine's also where MIG Manager makes the instances: an A100 needs a reboot for it, which here
    # comes before Kubernetes and not in the middle of the verification. MIG Manager then finds the mode it wants.
    desired: dict[str, Any] = {
        "version": 1,
        "node": {"name": node.name, "role": node.role},
        "apt": {"ubuntu": settings.sources.ubuntu_apt},
        "driver": driver if has_gpu else None,
        "toolkit": toolkit if has_gpu else None,
        "mig": mig if node.layout is not None or any(node.mode) else None,
        "rke2": {
            "version": settings.rke2.version,
            "install": settings.sources.rke2_install,
            "artifacts": settings.sources.rke2_artifacts,
            "sha256": settings.rke2.sha256,
            "role": node.role,
            "token": has_token(node),
            "cis": settings.rke2.cis,
        },
    }
    return json.dumps(desired, indent=2) + "\n"
