"""SSH keys as pasted by people: the administrator's public key, and the public half of a private one."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from plan.problems import Refusal

_HOW_TO_MAKE = "Make one with: ssh-keygen -t ed25519"
_ALLOWED = "one line `ssh-ed25519 AAAA… comment`, or ssh-rsa of at least 2048 bits"
_RSA_BITS = 2048
_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"


def public_key(text: str) -> str:
    """A public key line that Azure and sshd take, with one blank between its parts.

    Refusals never quote what might be a private key.
    """
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
    # sshd takes any blanks and tabs between the parts.
    kind, *rest = re.split(r"[ \t]+", line, maxsplit=2)
    if kind in {"ssh-dss", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"} or kind.startswith(
        "sk-"
    ):
        raise Refusal(f"Azure takes no {kind} key", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)
    if kind not in {"ssh-ed25519", "ssh-rsa"}:
        after_options = re.search(r"[ \t](ssh-ed25519|ssh-rsa)[ \t]", line)
        if after_options:
            raise Refusal("options in front of the key", allowed=_ALLOWED, remedy=f"Begin with {after_options[1]} …")
        raise Refusal("not an SSH public key", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)
    _check_body(kind, rest[0] if rest else "")
    return " ".join([kind, *rest])


def _check_body(kind: str, body: str) -> None:
    try:
        key = load_ssh_public_key(f"{kind} {body}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Refusal(
            "the key is damaged or cut off", allowed=_ALLOWED, remedy="Paste the whole line of the .pub file again."
        ) from None
    if isinstance(key, RSAPublicKey) and key.key_size < _RSA_BITS:
        raise Refusal(f"RSA of {key.key_size} bits is too short", allowed=_ALLOWED, remedy=_HOW_TO_MAKE)


def body(public_key: str) -> str:
    """The part of a public key line that identifies the key, without its kind and its comment."""
    return public_key.split()[1]


def public_half(openssh_private_key: str) -> str:
    """The public key line (`ssh-ed25519 AAAA…`, no comment) of an unencrypted ed25519 private key.

    Line ends do not matter: keys are pasted from everywhere. Raises ValueError; its text never contains any part of the
    key.
    """
    text = " ".join(openssh_private_key.split())
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError(f"not an OpenSSH private key: it must begin with {_BEGIN} and end with {_END}")
    body = text.removeprefix(_BEGIN).removesuffix(_END).replace(" ", "")
    try:
        key = load_ssh_private_key(f"{_BEGIN}\n{body}\n{_END}\n".encode(), password=None)
    except TypeError:
        raise ValueError("the private key has a passphrase; a machine cannot type one: make a key without") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the private key is damaged or cut off: paste the whole file again") from None
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    kind = line.partition(" ")[0]
    if kind != "ssh-ed25519":
        raise ValueError(f"the private key is {kind}; ssh-ed25519 is needed")
    return line


def is_of_another_pair(private_key: str, public_key: str) -> bool:
    """Whether a private key of a person certainly is not that of this public key line.

    One that cannot be read here, as one with a passphrase, is left to whoever uses it.
    """
    for load in (load_ssh_private_key, load_pem_private_key):
        try:
            key = load(private_key.strip().encode() + b"\n", password=None)
            half = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            continue
        return body(half.decode()) != body(public_key)
    return False
