"""The user's SSH public key, as pasted by people."""

import base64
import binascii
import struct

from plan.problems import Refusal

_HOW_TO_MAKE = "Make one with: ssh-keygen -t ed25519"
_ALLOWED = "one line `ssh-ed25519 AAAA… comment`, or ssh-rsa of at least 2048 bits"
_RSA_BITS = 2048


def public_key(text: str) -> str:
    """A public key line that Azure and sshd take. Refusals never quote what might be a private key."""
    if "PRIVATE KEY" in text:
        raise Refusal(
            "this is a PRIVATE key, and it is in clear in the stack file: consider it known to others",
            allowed=_ALLOWED,
            remedy="Make a new pair with: ssh-keygen -t ed25519, and paste the .pub file here.",
            hide=True,
        )
    line = text.strip()
    if "\n" in line or "\r" in line:
        raise Refusal("more than one line", allowed=_ALLOWED, remedy="Paste one key, without line breaks inside it.")
    if line.startswith(("/", "~", "./")) or line.endswith(".pub"):
        raise Refusal("a path, not a key", allowed=_ALLOWED, remedy=f"Paste what this prints: cat {line}")
    kind, _, rest = line.partition(" ")
    if kind in {"ssh-dss", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"} or kind.startswith(
        "sk-"
    ):
        raise Refusal(f"Azure takes no {kind} key", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)
    if kind not in {"ssh-ed25519", "ssh-rsa"}:
        if "ssh-ed25519 " in line or "ssh-rsa " in line:
            raise Refusal(
                "options in front of the key", allowed=_ALLOWED, remedy=f"Begin with {_after_options(line)} …"
            )
        raise Refusal("not an SSH public key", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)
    _check_body(kind, rest.split(" ", 1)[0])
    return line


def _after_options(line: str) -> str:
    return "ssh-ed25519" if "ssh-ed25519 " in line else "ssh-rsa"


def _check_body(kind: str, body: str) -> None:
    cut = Refusal(
        "the key is damaged or cut off", allowed=_ALLOWED, remedy="Paste the whole line of the .pub file again."
    )
    try:
        blob = base64.b64decode(body, validate=True)
        parts = _parts(blob)
    except (binascii.Error, struct.error):
        raise cut from None
    if not parts or parts[0] != kind.encode():
        raise cut
    if kind == "ssh-ed25519" and [len(part) for part in parts[1:]] != [32]:
        raise cut
    if kind == "ssh-rsa":
        if len(parts) != 3:
            raise cut
        bits = int.from_bytes(parts[2], "big").bit_length()
        if bits < _RSA_BITS:
            raise Refusal(f"RSA of {bits} bits is too short", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)


def _parts(blob: bytes) -> list[bytes]:
    """The length-prefixed strings of an SSH key blob; struct.error when it ends too early."""
    parts = []
    while blob:
        (length,) = struct.unpack_from(">I", blob)
        if len(blob) < 4 + length:
            raise struct.error
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return parts
