"""desired.json: what a machine shall be, for its converge path."""

import json
from typing import Any

from plan.machine.node import NodePlan


def desired_json(node: NodePlan) -> str:
    """The content of /etc/mig-k8s/desired.json. Nothing in it depends on the cloud or is secret."""
    driver = node.driver and {
        "source": node.driver.source,
        "branch": node.driver.branch,
        "openKernelModules": node.driver.open_kernel_modules,
    }
    toolkit = node.toolkit and {"version": node.toolkit.version, "apt": node.sources.toolkit_apt}
    desired: dict[str, Any] = {
        "version": 1,
        "node": {"name": node.name, "role": node.role},
        "apt": {"ubuntu": node.sources.ubuntu_apt},
        "driver": driver,
        "toolkit": toolkit,
        "mig": _mig(node),
        "rke2": {
            "version": node.rke2.version,
            "install": node.sources.rke2_install,
            "artifacts": node.sources.rke2_artifacts,
            "sha256": node.rke2.sha256,
            "role": node.role,
            "token": node.has_token,
            "cis": node.rke2.cis,
        },
    }
    return json.dumps(desired, indent=2) + "\n"


def _mig(node: NodePlan) -> dict[str, Any] | None:
    """The modes of the GPUs; None where the host has nothing to do with them.

    MIG mode is the machine's also where MIG Manager makes the instances: an A100 needs a reboot for it, which here
    comes before Kubernetes and not in the middle of the verification. MIG Manager then finds the mode it wants.
    """
    if node.layout is None or (node.mig_owner == "operator" and not any(node.layout.modes)):
        return None
    return {"mode": list(node.layout.modes), "onChange": node.on_change}
