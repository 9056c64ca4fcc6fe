"""What crosses when a cluster is backed up and restored: its snapshot with what reads it, and who comes back how."""

import base64
import binascii
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import ClassVar

from machine.documents.form import Document, DocumentError


def digest_of(token: str) -> str:
    """The digest by which a machine tells whether it has this token, without being told the token."""
    return hashlib.sha256(token.strip().encode()).hexdigest()


def packed(content: bytes) -> tuple[str, str]:
    """A snapshot in the form of `Backup`: its `sha256` and the `snapshot`."""
    return hashlib.sha256(content).hexdigest(), base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


@dataclass(frozen=True)
class Backup(Document):
    """Secret: whoever reads it has the cluster. `token` is the server token, `release` RKE2's, both of that moment;
    `taken` is UTC, `file` the snapshot's name on `node`, `snapshot` its content, gzipped, in base64."""

    NAME: ClassVar[str] = "the backup"

    node: str
    taken: str
    release: str
    token: str
    file: str
    sha256: str
    snapshot: str

    def content(self) -> bytes:
        """The snapshot as it was. Raises DocumentError where it is not whole."""
        try:
            found = gzip.decompress(base64.b64decode(self.snapshot, validate=True))
        except (binascii.Error, EOFError, OSError, ValueError, zlib.error):
            found = b""
        if hashlib.sha256(found).hexdigest() != self.sha256:
            raise DocumentError(f"{self.NAME}: its snapshot is damaged")
        return found


@dataclass(frozen=True)
class Restore(Document):
    """What a server restores. `nodes`: all machines of the stack, whose node passwords may be others now."""

    NAME: ClassVar[str] = "the restore"

    node: str
    nodes: tuple[str, ...]
    backup: Backup


@dataclass(frozen=True)
class Restored(Document):
    """The restore's own name, and the address by which others join the server that restores."""

    NAME: ClassVar[str] = "the restore's report"

    restore: str
    address: str


@dataclass(frozen=True)
class Rejoin(Document):
    """How a machine comes back to the cluster that is restored by `restore` on the server at `address`; before that is
    known it can only be checked. `token_digest` is of the server token (`digest_of`), which a server joins by."""

    NAME: ClassVar[str] = "the way back"

    node: str
    token_digest: str
    restore: str = ""
    address: str = ""
