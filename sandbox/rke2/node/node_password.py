"""Node passwords: each machine has one, of which the cluster keeps a hash, so that no other machine takes its name."""

import base64
import hashlib
import hmac
import secrets

from . import paths
from .api import Api

_SECRETS = "/api/v1/namespaces/kube-system/secrets"
REJECTED = (
    "Node password rejected, duplicate hostname or contents of '{file}' may not match server node-passwd entry:"
    " the cluster knows another machine as {name}. Give this one another node-name, or, if that machine is gone for"
    " good: kubectl delete node {name}"
)


class RejectedError(Exception):
    """The name belongs to another machine."""


def own() -> str:
    """This machine's password, made at its first start."""
    if not paths.NODE_PASSWORD.exists():
        paths.write(paths.NODE_PASSWORD, secrets.token_hex(16) + "\n")
    return paths.NODE_PASSWORD.read_text().strip()


def check(api: Api, name: str, password: str) -> None:
    """Remember the password of a new name; a name whose node was deleted is new again.

    Raises RejectedError, or ApiError where the cluster cannot be asked.
    """
    secret = f"{name}.node-password.rke2"
    known = api.get(f"{_SECRETS}/{secret}")
    if known is not None and _matches(base64.b64decode(known["data"]["hash"]).decode(), password):
        return
    if known is not None:
        if api.get(f"/api/v1/nodes/{name}") is not None:
            raise RejectedError(REJECTED.format(file=paths.NODE_PASSWORD, name=name))
        api.request("DELETE", f"{_SECRETS}/{secret}")
    content = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret, "namespace": "kube-system"},
        "immutable": True,
        "stringData": {"hash": _hash(password, secrets.token_hex(8))},
    }
    api.request("POST", _SECRETS, content)


def forget(api: Api, name: str) -> None:
    """Forget a node's password after a restore: that of the snapshot may be another machine's."""
    if api.get(f"{_SECRETS}/{name}.node-password.rke2") is not None:
        api.request("DELETE", f"{_SECRETS}/{name}.node-password.rke2")


def _hash(password: str, salt: str) -> str:
    return f"{salt}:{hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()}"


def _matches(known: str, password: str) -> bool:
    return hmac.compare_digest(known, _hash(password, known.partition(":")[0]))
