"""What the datastore keeps under the server token's hash, and what a server's start makes of it (k3s, pkg/cluster).

The file cred/passwd is a part of it. A file that differs from the datastore's copy and is newer is refused at the next
start; only a rotation of the token puts the file into the datastore again, a restart does not.
"""

import hashlib
import json
import re
import secrets
from typing import Any

from . import etcd, join_token, paths, release
from .certificates import ETCD, SERVER, SERVICE_KEY
from .configuration import Configuration
from .error import Rke2Error
from .join_token import JoinToken
from .users import Users

FILES = (SERVER.certificate, SERVER.key, ETCD.certificate, ETCD.key, SERVICE_KEY)
"""What makes a machine a server of this cluster, besides the passwords."""
_PREFIX = "/bootstrap/"
_DATA = "/stand-in/"
_VERSION = _DATA + "version"
_SKEW_SECONDS = 3
_OF_KUBEADM = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
DIFFERENT_KEY = (
    "preparing server: failed to bootstrap cluster data: failed to reconcile with local datastore:"
    " bootstrap data already found and encrypted with different token"
)
NEWER = (
    "{path} newer than datastore and could cause a cluster outage."
    " Remove the file(s) from disk and restart to be recreated from datastore."
)


def settle(configuration: Configuration) -> None:
    """Passwords and tokens of this server, held against the datastore. Raises Rke2Error with RKE2's own words."""
    given = configuration.token.password if configuration.token else None
    stored = etcd.values(_PREFIX)
    for content in stored.values():
        _reconcile(json.loads(content)["passwd"])
    known = Users.read()
    password = given or (known.server if known else secrets.token_hex(16))
    Users(server=password, node=configuration.agent_token or password).write()
    if stored and _key(password) not in stored:
        raise Rke2Error(DIFFERENT_KEY)
    _write_tokens(configuration, password)
    if not stored:
        _save(password)


def rotate(configuration: Configuration, new: str) -> None:
    """Another server token for the living cluster, or the same again: either way the datastore gets this server's file.

    Raises Rke2Error and changes nothing where the new one cannot be a server token.
    """
    if not new or _OF_KUBEADM.fullmatch(new) or new.startswith("K10"):
        raise Rke2Error(
            "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"
        )
    known = Users.read()
    if known is None:
        raise Rke2Error("server token not found")
    follows = known.node == known.server and configuration.agent_token is None
    Users(server=new, node=new if follows else known.node).write()
    _write_tokens(configuration, new)
    if known.server != new and (content := etcd.values(_PREFIX).get(_key(known.server))) is not None:
        etcd.put(_key(new), content)
        etcd.delete(_key(known.server))
    if list(etcd.values(_PREFIX)) != [_key(new)]:
        raise Rke2Error(DIFFERENT_KEY.rpartition(": ")[2])
    _save(new)


def restore(configuration: Configuration) -> None:
    """The files of the cluster whose snapshot is in the datastore now, over those of this disk, whichever is newer.

    Raises Rke2Error where the token is not of that cluster.
    """
    token = configuration.token or JoinToken.parse(paths.TOKEN.read_text().strip())
    content = etcd.values(_PREFIX).get(_key(token.password))
    if content is None:
        raise Rke2Error(DIFFERENT_KEY.rpartition(": ")[2])
    version = etcd.values(_DATA).get(_VERSION, release.version())
    found = json.loads(content)
    Users.parse(found["passwd"]["content"]).write()
    write_files(found["files"])  # from here on etcd, which runs with this machine's own, is not asked any more
    paths.write(paths.DATA_VERSION, version + "\n")


def note_version() -> None:
    """An API server of this release writes to the datastore from now on, which a snapshot then tells."""
    etcd.put(_VERSION, release.version())


def files() -> dict[str, str]:
    """The files by their path below server/tls."""
    return {str(file.relative_to(paths.TLS)): file.read_text() for file in FILES}


def write_files(content: dict[str, str]) -> None:
    """Write the files that `files` gave."""
    for file in FILES:
        paths.write(file, content[str(file.relative_to(paths.TLS))], 0o644 if file.suffix == ".crt" else 0o600)


def _reconcile(stored: dict[str, Any]) -> None:
    """The newer of file and datastore's copy counts, and a newer file is refused."""
    if paths.PASSWORDS.exists():
        if paths.PASSWORDS.read_text() == stored["content"]:
            return
        if int(paths.PASSWORDS.stat().st_mtime) - stored["timestamp"] >= _SKEW_SECONDS:
            raise Rke2Error(NEWER.format(path=paths.PASSWORDS))
    Users.parse(stored["content"]).write()


def _save(password: str) -> None:
    file = {"content": paths.PASSWORDS.read_text(), "timestamp": int(paths.PASSWORDS.stat().st_mtime)}
    etcd.put(_key(password), json.dumps({"passwd": file, "files": files()}))


def _key(password: str) -> str:
    return _PREFIX + hashlib.sha256(password.encode()).hexdigest()[:12]


def _write_tokens(configuration: Configuration, password: str) -> None:
    authority = SERVER.certificate.read_bytes()
    paths.write(paths.TOKEN, join_token.whole(authority, password) + "\n")
    if not paths.NODE_TOKEN.is_symlink():
        paths.NODE_TOKEN.unlink(missing_ok=True)
        paths.NODE_TOKEN.symlink_to(paths.TOKEN)
    if configuration.agent_token is None:
        paths.AGENT_TOKEN.unlink(missing_ok=True)
    else:
        paths.write(paths.AGENT_TOKEN, join_token.whole(authority, configuration.agent_token, "node") + "\n")
