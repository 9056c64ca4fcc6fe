"""The cloud-init user-data of a machine: all that it needs to come up by itself.

Azure cannot change it on a living machine, so everything in it can also be changed over SSH: by a release, and by the
configuration.
"""

import base64
import hashlib
import zlib
from functools import cache

from machine.documents import desired_state
from machine.documents.configuration import RKE2_CONFIG_PATH
from machine.documents.manifest import HOME
from plan.machine.addresses import Addresses
from plan.machine.configuration import configuration
from plan.machine.delivery import delivery, delivery_command
from plan.machine.host_keys import HostKey
from plan.machine.node import NodePlan
from plan.machine.release import first_release
from plan.problems import Problem, Problems
from plan.yaml_text import yaml_text

LIMIT_BYTES = 65_535
"""Azure's limit for custom data, before its base64 encoding."""
_RELEASE = f"{HOME}/release.cloud-init"
"""The first release, in the form in which the whole one comes over SSH."""
_FILES = "write_files"
_GZIP = 31
"""zlib's word for the largest window and gzip's header."""
_RELEASE_BYTES = 44_000
"""More than the release takes of the limit."""
_KEYS_BYTES = 2_000
"""More than the machine's keys and its commands take of the limit."""
_LONGEST = Addresses(public="255.255.255.255", private="255.255.255.255")
_SAMPLE_KEY = base64.b64encode(b"".join(hashlib.sha256(bytes([number])).digest() for number in range(10))).decode()[
    :399
]
"""A text as long and as hard to pack as an OpenSSH ed25519 private key. The real key never comes here."""


def user_data(node: NodePlan, addresses: Addresses, host_key: HostKey) -> bytes:
    """A complete `#cloud-config` document, gzipped, which cloud-init unpacks. Raises Problems when Azure refuses it."""
    kind = "ed25519" if host_key.kind == "ssh-ed25519" else "ecdsa"
    rest = {
        "ssh_deletekeys": True,
        # Where keys are given, cloud-init makes none of its own.
        "ssh_keys": {f"{kind}_private": host_key.private, f"{kind}_public": host_key.public},
        "runcmd": [
            # What came over SSH in the meantime is newer and stays.
            f"{delivery_command(if_none=True)} <{_RELEASE}",
            ["rm", "-f", _RELEASE],
            # cloud-init does not wait: converge outlives it and may reboot the machine.
            ["systemctl", "start", "--no-block", "mig-k8s-converge.service"],
        ],
    }
    begun, packer = _release_packed()
    packer = packer.copy()
    packed = begun + packer.compress((_own(node, addresses) + yaml_text(rest)).encode()) + packer.flush()
    if len(packed) > LIMIT_BYTES:
        raise Problems([_too_large(node, len(packed))])
    return packed


def refuse_too_large(node: NodePlan) -> None:
    """Raise Problems where Azure would refuse the machine's user-data. It is packed only where that is in doubt."""
    if len(_own(node, _LONGEST).encode()) > LIMIT_BYTES - _RELEASE_BYTES - _KEYS_BYTES:
        user_data_bytes(node)


def user_data_bytes(node: NodePlan) -> int:
    """The size of the machine's user-data, with keys and address of the usual length. Raises Problems as above."""
    return len(user_data(node, _LONGEST, HostKey(_SAMPLE_KEY, _SAMPLE_KEY[-80:])))


def _own(node: NodePlan, addresses: Addresses) -> str:
    """The files that only this machine has, as the end of a list."""
    wanted = configuration(node, addresses)
    files = [
        _file(desired_state.PATH, wanted.desired_state.to_json()),
        _file(RKE2_CONFIG_PATH, wanted.rke2_config),
    ]
    return yaml_text({_FILES: files}).removeprefix(f"{_FILES}:\n")


@cache
def _release_packed() -> tuple[bytes, "zlib._Compress"]:
    """The beginning of the document, which is the same on every machine, and what packs the rest of it.

    A thousand machines do not pack it a thousand times. No time stands in it: unchanged files, unchanged user-data.
    """
    packer = zlib.compressobj(level=9, wbits=_GZIP, memLevel=9)
    files = [_file(_RELEASE, delivery(first_release()))]
    return packer.compress(f"#cloud-config\n{yaml_text({_FILES: files})}".encode()), packer


def _file(path: str, content: str) -> dict[str, str]:
    """An entry of write_files. cloud-init's own: owned by root, and the directories on the way."""
    return {"path": path, "permissions": "0600", "content": content}


def _too_large(node: NodePlan, size: int) -> Problem:
    return Problem(
        path="mig-k8s:rke2.config",
        value="",
        what=f"the user-data of {node.name} is {size} bytes, gzipped",
        allowed=f"Azure takes at most {LIMIT_BYTES} bytes",
        remedy="Shorten rke2.config, rke2.tlsSans, nodeLabels and nodeTaints: only they can make it this large.",
    )
