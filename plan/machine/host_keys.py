"""The SSH host keys of machines, each derived from a secret of the stack by a function with no way back.

sshd shows one key of each kind, and a client names the kind that it expects. So a machine shows the keys of two secrets
at once where these are of different kinds: a secret begins with `a:` or `b:`, which says of which. Each secret gives a
machine two keys at most: its own, and on a server the one that all servers share, because a client that dials their one
address does not know which of them answers.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from plan.stack_file.values.ssh_keys import public_half

_ALLOWED = "a: or b:, and 32 characters or more that nobody can guess"
_LEAST = 32


@dataclass(frozen=True, slots=True, repr=False)
class HostKey:
    """One host key of a machine. `private` is secret."""

    private: str
    public: str
    """A line without comment: `ssh-ed25519 AAAA…`."""

    @property
    def kind(self) -> str:
        """The kind of key: the first word of its public half."""
        return self.public.partition(" ")[0]

    @classmethod
    def given(cls, private: str) -> "HostKey":
        """A key that somebody made, of the kind ssh-ed25519. Raises ValueError, whose text has no part of it."""
        return cls(private.strip() + "\n", public_half(private))


@dataclass(frozen=True, slots=True, repr=False)
class HostKeys:
    """The host keys of all machines of a stack. Where there is only `shared`, they show that from the first boot on."""

    shared: HostKey | None
    """What machines showed before they had keys of their own, all of them the same."""
    secret: str = ""
    """The secret of the keys that connections are checked against; empty: they are checked against `shared`."""
    other: str = ""
    """The secret of the keys that machines show too, while one secret takes the place of another."""

    def __post_init__(self) -> None:
        """Check that a machine can show all keys. Raises ValueError, whose text has no part of a secret."""
        known = [*([self.shared.kind] if self.shared else [])]
        for secret in filter(None, (self.secret, self.other)):
            if secret[:2] not in _PAIRS or len(secret.strip()) < 2 + _LEAST:
                raise ValueError(f"it must be {_ALLOWED}")
            known += [key.kind for key in self._of(secret, "machine", is_server=True)]
        if len(set(known)) < len(known):
            raise ValueError("two of them give keys of one kind, of which a machine shows one")
        if not self.shared and not self.secret:
            raise ValueError("there is none to check connections against")

    def own(self, machine: str) -> HostKey:
        """The key that connections to this machine are checked against, and that it shows from its first boot on."""
        return self._of(self.secret, machine)[0] if self.secret else self._shared()

    def of_servers(self) -> HostKey:
        """The key that connections to the one address of all servers are checked against."""
        return _key(self.secret, "", 1) if self.secret else self._shared()

    def shown(self, machine: str, *, is_server: bool) -> tuple[HostKey, ...]:
        """All host keys that a machine shows; none where those are the ones that it was made with."""
        secrets = [secret for secret in (self.secret, self.other) if secret]
        derived = [key for secret in secrets for key in self._of(secret, machine, is_server=is_server)]
        return (*([self.shared] if self.shared else []), *derived) if derived else ()

    def known(self, machine: str) -> list[str]:
        """The lines of its own keys, first the one that connections are checked against."""
        others = [key for secret in (self.secret, self.other) if secret for key in self._of(secret, machine)]
        keys = [self.own(machine), *others, *([self.shared] if self.shared else [])]
        return list(dict.fromkeys(key.public for key in keys))

    def _shared(self) -> HostKey:
        assert self.shared is not None  # noqa: S101 - or it was refused
        return self.shared

    @staticmethod
    def _of(secret: str, machine: str, *, is_server: bool = False) -> list[HostKey]:
        return [_key(secret, machine, 0), *([_key(secret, "", 1)] if is_server else [])]


def _key(secret: str, name: str, place: int) -> HostKey:
    material = b"".join(
        hmac.new(secret.strip().encode(), f"mig-k8s: host key {part} of {name}".encode(), hashlib.sha512).digest()
        for part in range(2)
    )
    return _PAIRS[secret[:2]][place](material)


def _ed25519(material: bytes) -> HostKey:
    seed = material[:32]
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return HostKey(_openssh(seed, base64.b64decode(line.split()[1])), line)


def _openssh(seed: bytes, public: bytes) -> str:
    """The private key as sshd reads it, the same at every call. The library's own form differs from call to call."""

    def field(content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + content

    private = bytes(8) + public + field(seed + public[-32:]) + field(b"")
    private += bytes(range(1, 1 + -len(private) % 8))
    none = field(b"none") + field(b"none") + field(b"")
    text = base64.b64encode(b"openssh-key-v1\0" + none + (1).to_bytes(4, "big") + field(public) + field(private))
    lines = [text[start : start + 70].decode() for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])


def _on_curve(curve: ec.EllipticCurve, bits: int) -> Callable[[bytes], HostKey]:
    """`bits`: fewer than the order of the curve has, so that any number of so many is a key."""

    def made(material: bytes) -> HostKey:
        number = 1 + int.from_bytes(material, "big") % (1 << bits)
        key = ec.derive_private_key(number, curve)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        return HostKey(private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())

    return made


_PAIRS = {
    "a:": (_on_curve(ec.SECP256R1(), 255), _on_curve(ec.SECP384R1(), 383)),
    "b:": (_ed25519, _on_curve(ec.SECP521R1(), 520)),
}
"""The functions that make a machine's own key and that of all servers of 128 bytes, by how the secret begins."""
