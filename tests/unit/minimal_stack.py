"""The least a stack can say: the three required keys, and whatever a test adds."""

from typing import Any

from plan import Addresses, NodePlan

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqGQWZQSelo2DxGZ2KgxK7ZcVRq7GrTqKA1z4L1Xnhv"
SECRETS = frozenset({"sshPrivateKey", "sshHostKey", "rke2Token"})

Sections = dict[str, Any]


def minimal(**sections: object) -> Sections:
    """A stack with the required keys; `sections` add to it or replace what is there."""
    return {"adminCidrs": ["203.0.113.7/32"], "ssh": {"publicKey": PUBLIC_KEY}, **sections}


def addresses(_node: NodePlan) -> Addresses:
    """Addresses such as Azure could choose for a machine."""
    return Addresses(public="20.1.2.3", private="10.60.0.4")
