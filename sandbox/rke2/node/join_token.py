"""RKE2's join token: a bare password, or K10<hash of the cluster's authority>::<user>:<password>."""

import hashlib
import re
from dataclasses import dataclass

from .error import Rke2Error

_WHOLE = re.compile(r"K10([0-9a-f]{64})?::([^:]*):(.+)")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """`authority_hash` is the SHA-256 of the authority's PEM, in hex; None takes any authority on trust."""

    password: str
    authority_hash: str | None = None

    @classmethod
    def parse(cls, text: str) -> "JoinToken":
        """Read a token. Raises Rke2Error, which never shows it."""
        if not text.startswith("K10"):
            if not text:
                raise Rke2Error("token: must not be empty")
            return cls(text)
        match = _WHOLE.fullmatch(text)
        if match is None:
            raise Rke2Error(
                "token: invalid token format: expected K10<64 hex digits>::server:<password>, or a password"
            )
        return cls(match[3], match[1])

    def check(self, authority: bytes) -> None:
        """Check that this is the authority that the token names. Raises Rke2Error."""
        seen = hash_of(authority)
        if self.authority_hash not in (None, seen):
            raise Rke2Error(
                f"token CA hash does not match the Cluster CA certificate hash: {self.authority_hash} != {seen}."
                " Is this the token of another cluster, or does another machine answer there?"
            )


def hash_of(authority: bytes) -> str:
    return hashlib.sha256(authority).hexdigest()


def whole(authority: bytes, password: str, user: str = "server") -> str:
    """The secure form, as a server keeps it."""
    return f"K10{hash_of(authority)}::{user}:{password}"
