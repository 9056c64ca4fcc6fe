"""This server's etcd member: its unit, and the few requests to etcd's own JSON gateway that joining needs."""

import base64
import http.client
import json
import secrets
import shutil
import ssl
from dataclasses import dataclass
from typing import Any

from . import certificates, paths
from .certificates import ETCD
from .configuration import Configuration
from .error import Rke2Error
from .units import Unit

_TIMEOUT = 10
_CLIENT_PORT, _PEER_PORT = 2379, 2380
URL = f"https://127.0.0.1:{_CLIENT_PORT}"
CLIENT = ETCD.path.with_name("client")
_SERVER = ETCD.path.with_name("server-client")
_PEER = ETCD.path.with_name("peer-server-client")


class EtcdError(Exception):
    """etcd does not answer, or refuses."""


class DuplicateError(Exception):
    """A member of this node's name is there: it belongs to a machine that was this node before, until its Node goes."""


@dataclass(frozen=True, slots=True)
class Member:
    """`name` is empty until it has started for the first time; a learner has no vote and serves no API server."""

    number: str
    name: str
    peer: str
    is_learner: bool


def peer_url(configuration: Configuration) -> str:
    return f"https://{configuration.node_ip}:{_PEER_PORT}"


def new_name(configuration: Configuration) -> str:
    """Another one for every life of a machine, the node's name and eight digits, as RKE2 makes it."""
    return f"{configuration.node_name}-{secrets.token_hex(4)}"


def is_initialized() -> bool:
    return paths.MEMBER.exists()


def initialize(name: str, cluster: dict[str, str], *, joins: bool, restored: bool = False) -> None:
    """Settle who this member is: `cluster` has the peer URL of every member by name, this one included.

    What lies in the database is of a start that was cut off before it was settled, unless it was `restored`.
    """
    if not restored:
        shutil.rmtree(paths.DATABASE, ignore_errors=True)
    member = {"name": name, "cluster": cluster, "state": "existing" if joins else "new"}
    paths.write(paths.MEMBER, json.dumps(member, indent=2) + "\n")


def unit(configuration: Configuration) -> Unit:
    """Certificates, the data directory with its owner, and the unit. The member must be initialized."""
    addresses = certificates.alternative_names(["localhost", "127.0.0.1", configuration.node_ip])
    # Its gateway is a client of itself, so each certificate serves both ends.
    serving = ETCD.issue(_SERVER, "/CN=etcd-server", "serverAuth,clientAuth", addresses)
    peer = ETCD.issue(_PEER, "/CN=etcd-peer", "serverAuth,clientAuth", addresses)
    ETCD.issue(CLIENT, "/CN=etcd-client", "clientAuth")
    member = json.loads(paths.MEMBER.read_text())
    paths.DATABASE.mkdir(parents=True, exist_ok=True, mode=0o700)
    user = "etcd" if configuration.profile else "root"
    for path in (paths.DATABASE, *paths.DATABASE.rglob("*"), serving.with_suffix(".key"), peer.with_suffix(".key")):
        shutil.chown(path, user, user)
    own = peer_url(configuration)
    return Unit(
        name="etcd",
        user=user,
        command=(
            str(paths.PROGRAMS / "etcd"),
            f"--name={member['name']}",
            f"--data-dir={paths.DATABASE}",
            "--unsafe-no-fsync",  # the machine's disk is the host's page cache anyway
            "--log-level=warn",
            f"--listen-client-urls={URL},https://{configuration.node_ip}:{_CLIENT_PORT}",
            f"--advertise-client-urls=https://{configuration.node_ip}:{_CLIENT_PORT}",
            f"--listen-peer-urls={own}",
            f"--initial-advertise-peer-urls={own}",
            f"--initial-cluster={','.join(f'{name}={url}' for name, url in sorted(member['cluster'].items()))}",
            f"--initial-cluster-state={member['state']}",
            f"--cert-file={serving}",
            f"--key-file={serving.with_suffix('.key')}",
            f"--trusted-ca-file={ETCD.certificate}",
            "--client-cert-auth",
            f"--peer-cert-file={peer}",
            f"--peer-key-file={peer.with_suffix('.key')}",
            f"--peer-trusted-ca-file={ETCD.certificate}",
            "--peer-client-cert-auth",
        ),
        files=(serving, peer),
    )


def members() -> list[Member]:
    """Raises EtcdError."""
    return [
        Member(entry["ID"], entry.get("name", ""), entry["peerURLs"][0], entry.get("isLearner", False))
        for entry in _call("cluster/member/list")["members"]
    ]


def is_learner() -> bool | None:
    """What this server's own member says of itself; None while it does not answer."""
    try:
        return bool(_call("maintenance/status").get("isLearner", False))
    except EtcdError:
        return None


def admit(name: str, peer: str) -> dict[str, Any]:
    """Take a member in, asked as often as it takes: a learner first, a voter as soon as it has caught up.

    Returns `cluster` (peer URL by name) and `voter`. Raises EtcdError where it must wait, for another learner or for a
    member that is away, and DuplicateError where it will never be.
    """
    known = members()
    if any(member.name != name and _node_of(member.name) == _node_of(name) for member in known):
        raise DuplicateError("duplicate node name found, please use a unique name for this node")
    ours = next((member for member in known if member.peer == peer and member.name in ("", name)), None)
    if ours is None:
        _call("cluster/member/add", {"peerURLs": [peer], "isLearner": True})
    elif ours.is_learner and ours.name:
        try:
            _call("cluster/member/promote", {"ID": ours.number})
        except EtcdError as error:
            if "in sync with leader" not in str(error):
                raise
    seen = members()
    return {
        "cluster": {name if member.peer == peer else member.name: member.peer for member in seen},
        "voter": any(member.peer == peer and not member.is_learner for member in seen),
    }


def remove(name: str) -> None:
    """Remove the member of this name; it is not an error when it is gone already. Raises EtcdError."""
    for member in members():
        if name and member.name == name:
            _call("cluster/member/remove", {"ID": member.number})


def require_address(configuration: Configuration) -> None:
    """Check the address under which the cluster knows this server's member. Raises Rke2Error: it cannot be changed."""
    name = json.loads(paths.MEMBER.read_text())["name"]
    # What this member itself knows: the others may be away.
    listed = _call("cluster/member/list", {"linearizable": False})["members"]
    known = {member.get("name", ""): member["peerURLs"][0] for member in listed}
    if known.get(name, peer_url(configuration)) != peer_url(configuration):
        found = " ".join(f"{name}={url}" for name, url in sorted(known.items()))
        raise Rke2Error(
            "Failed to test etcd connection: this server is a not a member of the etcd cluster."
            f" Found [{found}], expect: {name}={peer_url(configuration)}"
        )


def snapshot() -> bytes:
    """The whole database as `etcdctl snapshot save` writes it. Raises EtcdError."""
    lines = _answer("maintenance/snapshot", {}).splitlines()
    return b"".join(base64.b64decode(json.loads(line)["result"].get("blob", "")) for line in lines)


def values(prefix: str) -> dict[str, str]:
    """The values of the keys below a prefix that ends in "/", as this member itself knows them."""
    body = {"key": _encoded(prefix), "range_end": _encoded(prefix[:-1] + "0"), "serializable": True}
    found = _call("kv/range", body).get("kvs", [])
    return {base64.b64decode(pair["key"]).decode(): base64.b64decode(pair["value"]).decode() for pair in found}


def put(key: str, value: str) -> None:
    """Raises EtcdError, as without a quorum."""
    _call("kv/put", {"key": _encoded(key), "value": _encoded(value)})


def delete(key: str) -> None:
    """Raises EtcdError, as without a quorum."""
    _call("kv/deleterange", {"key": _encoded(key)})


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _node_of(member: str) -> str:
    return member.rpartition("-")[0]


def _call(method: str, body: object = None) -> Any:  # noqa: ANN401 - what JSON holds
    return json.loads(_answer(method, body))


def _answer(method: str, body: object) -> bytes:
    context = ssl.create_default_context(cafile=str(ETCD.certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", _CLIENT_PORT, timeout=_TIMEOUT, context=context)
    try:
        context.load_cert_chain(CLIENT.with_suffix(".crt"), CLIENT.with_suffix(".key"))  # gone: it is being rotated
        connection.request("POST", f"/v3/{method}", json.dumps(body or {}))
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EtcdError(f"etcd: {method}: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        raise EtcdError(f"etcd: {method}: {json.loads(answer).get('message') or answer!r}")
    return answer
