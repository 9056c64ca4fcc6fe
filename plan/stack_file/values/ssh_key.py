"""SSH keys as text: the public half of a private key, without a cryptography library.

An OpenSSH private key (format "openssh-key-v1", PROTOCOL.key in OpenSSH's source) holds its public half in clear.
"""

import base64
import binascii
import struct

_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\x00"


def public_half(openssh_private_key: str) -> str:
    """The public key line (`ssh-ed25519 AAAA…`, no comment) of an unencrypted ed25519 private key.

    Raises ValueError; its text never contains any part of the key.
    """
    lines = openssh_private_key.split()
    text = " ".join(lines)
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError(f"not an OpenSSH private key: it must begin with {_BEGIN} and end with {_END}")
    try:
        blob = base64.b64decode(text.removeprefix(_BEGIN).removesuffix(_END).replace(" ", ""), validate=True)
    except binascii.Error:
        raise ValueError("the private key is damaged: its body is not base64") from None
    if not blob.startswith(_MAGIC):
        raise ValueError("the private key is damaged: its body is not an OpenSSH key")
    try:
        cipher, rest = _string(blob[len(_MAGIC) :])
        _, rest = _string(rest)
        _, rest = _string(rest)
        if cipher != b"none":
            raise ValueError("the private key has a passphrase; a machine cannot type one: make a key without")
        public, rest = _string(rest[4:])
        _string(rest)
        kind, _ = _string(public)
    except struct.error:
        raise ValueError("the private key is truncated") from None
    if kind != b"ssh-ed25519":
        raise ValueError(f"the private key is {kind.decode(errors='replace')}; ssh-ed25519 is needed")
    return f"ssh-ed25519 {base64.b64encode(public).decode()}"


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The length-prefixed string at the head of `data`, and what follows it."""
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise struct.error
    return data[4 : 4 + length], data[4 + length :]
