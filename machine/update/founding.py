"""What a server's cluster was founded with and keeps for life: a change of it is refused before anything is written."""

import re

from machine.documents.configuration import RKE2_CONFIG_PATH
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes.server_token import CLUSTERS_TOKEN

_FOR_LIFE = {
    "cluster-cidr": "network.podCidr",
    "service-cidr": "network.serviceCidr",
    "cni": "rke2.cni",
    "node-ip": "its private address, which etcd knows it by",
}
"""Keys of RKE2's configuration, each with where a stack file decides it."""
_LINE = re.compile(r"^([a-z-]+): *[\"']?([^\"'\n]*)[\"']?$", re.MULTILINE)


def check(machine: ThisMachine, config: str) -> None:
    """Compare the wanted configuration of RKE2 with the one in use. Raises NodeError with every refused change."""
    path = machine.path(RKE2_CONFIG_PATH)
    if not machine.path(CLUSTERS_TOKEN).exists() or not path.exists():
        return
    founded, wanted = dict(_LINE.findall(path.read_text(encoding="utf-8"))), dict(_LINE.findall(config))
    changed = [
        f"{key} is {founded[key]}, not {wanted[key]} ({place})"
        for key, place in _FOR_LIFE.items()
        if key in founded and key in wanted and founded[key] != wanted[key]
    ]
    if changed:
        raise NodeError(
            f"nothing was changed, because the cluster here keeps what it was founded with: {'; '.join(changed)}. Set"
            " it back. To lose the cluster and found another: `pulumi destroy`, then `pulumi up`"
        )
