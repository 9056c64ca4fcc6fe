"""The cloud-init user-data of a machine: its birth certificate.

Azure cannot change it on a living machine, so everything in it can also be changed over SSH (`machine_files.bundle`).
"""

import base64
import gzip
from functools import cache
from typing import Any

from plan.machine.files import BROUGHT_LATER, UNITS, MachineFile, machine_files
from plan.machine.node import NodePlan
from plan.problems import Problem, Problems
from plan.yaml_text import yaml_text

LIMIT_BYTES = 65_535
"""Azure's limit for custom data, before its base64 encoding."""
_PLAIN_BYTES = 2_048
"""Files up to this size stay readable; larger ones are packed, and readable in cloud-init/."""
_SAMPLE_ADDRESS = "255.255.255.255"
_SAMPLE_KEY_BYTES = 399
"""An OpenSSH ed25519 private key without comment; the real one is a secret and never comes here."""


def user_data(node: NodePlan, *, public_address: str, host_private_key: str, host_public_key: str) -> str:
    """A complete `#cloud-config` document. Raises Problems when it is larger than Azure takes."""
    files = machine_files(node, public_address=public_address)
    document = {
        "ssh_deletekeys": True,
        # Where keys are given, cloud-init makes none of its own.
        "ssh_keys": {"ed25519_private": host_private_key.strip() + "\n", "ed25519_public": host_public_key.strip()},
        "write_files": [_written(file) for file in files if file.path not in BROUGHT_LATER],
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


def user_data_bytes(node: NodePlan) -> int:
    """The size of the machine's user-data, with keys and address of the usual length. Raises Problems as above."""
    key = "k" * _SAMPLE_KEY_BYTES
    return len(user_data(node, public_address=_SAMPLE_ADDRESS, host_private_key=key, host_public_key=key[:80]).encode())


def _written(file: MachineFile) -> dict[str, Any]:
    """An entry of write_files. Directories on the way are cloud-init's business."""
    entry = {"path": file.path, "permissions": file.mode, "owner": "root:root"}
    if len(file.content.encode()) <= _PLAIN_BYTES:
        return entry | {"content": file.content}
    return entry | {"encoding": "gz+b64", "content": _packed(file.content)}


@cache
def _packed(content: str) -> str:
    """Kept: most files are the same on every machine."""
    # mtime 0: the same file is the same text on every run.
    return base64.b64encode(gzip.compress(content.encode(), mtime=0)).decode()


def _too_large(node: NodePlan, size: int) -> Problem:
    return Problem(
        path="mig-k8s:rke2.config",
        value="",
        what=f"the user-data of {node.name} is {size} bytes",
        allowed=f"Azure takes at most {LIMIT_BYTES} bytes",
        remedy="Shorten rke2.config, rke2.tlsSans, nodeLabels and nodeTaints: only they can make it this large.",
    )
