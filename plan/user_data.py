"""The cloud-init user-data of a machine: its birth certificate.

Azure cannot change it on a living machine, so everything in it can also be changed over SSH (`machine_files.bundle`).
"""

import base64
import gzip
from typing import Any

from plan.machine_files import UNITS, MachineFile, machine_files
from plan.node import NodePlan
from plan.problems import Problem, Problems
from plan.yaml_text import yaml_text

LIMIT_BYTES = 65_535
"""Azure's limit for custom data, before its base64 encoding."""
_PLAIN_BYTES = 2_048
"""Files up to this size stay readable; larger ones are packed, and readable in cloud-init/."""


def user_data(node: NodePlan, *, public_address: str, host_private_key: str, host_public_key: str) -> str:
    """A complete `#cloud-config` document. Raises Problems when it is larger than Azure takes."""
    document = {
        "ssh_deletekeys": True,
        # Where keys are given, cloud-init makes none of its own.
        "ssh_keys": {"ed25519_private": host_private_key.strip() + "\n", "ed25519_public": host_public_key.strip()},
        "write_files": [_written(file) for file in machine_files(node, public_address=public_address)],
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", *UNITS],
            # cloud-init does not wait: converge outlives it and may reboot the machine.
            ["systemctl", "start", "--no-block", "mig-k8s-converge.service"],
        ],
    }
    text = "#cloud-config\n" + yaml_text(document)
    size = len(text.encode())
    if size > LIMIT_BYTES:
        raise Problems([_too_large(node, size)])
    return text


def _written(file: MachineFile) -> dict[str, Any]:
    """An entry of write_files. Directories on the way are cloud-init's business."""
    entry = {"path": file.path, "permissions": file.mode, "owner": "root:root"}
    data = file.content.encode()
    if len(data) <= _PLAIN_BYTES:
        return entry | {"content": file.content}
    # mtime 0: the same file is the same text on every run.
    packed = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    return entry | {"encoding": "gz+b64", "content": packed}


def _too_large(node: NodePlan, size: int) -> Problem:
    return Problem(
        path="mig-k8s:rke2.config",
        value="",
        what=f"the user-data of {node.name} is {size} bytes",
        allowed=f"Azure takes at most {LIMIT_BYTES} bytes",
        remedy="Shorten rke2.config, rke2.tlsSans, nodeLabels and nodeTaints: only they can make it this large.",
    )
