"""A file that only the stack's secrets provider opens (ADR 0032): a line that says what it is, then what is encrypted.

Each file has a key of its own, for AES-256-GCM. Pulumi encrypts it as it does a secret of the stack, and it stands in
the first line so, with all that Pulumi needs to read it again but the passphrase, or the access to a key service.
"""

import base64
import binascii
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from scripts.stack import Stack, StackError

_FORMAT = "mig-k8s backup"
_VERSION = 1
_KEY = "mig-k8s:backupKey"
_NONCE_BYTES = 12


def write(path: Path, stack: Stack, about: Mapping[str, str], content: bytes) -> None:
    """Write a new file for its owner alone, in one step; `about` is for everybody to read. Raises StackError."""
    if path.exists():
        raise StackError(f"{path} is there already: move it away, or name another FILE")
    key = AESGCM.generate_key(256)
    head = {_FORMAT: _VERSION, **about, "key": _encrypted(stack, key)}
    line = json.dumps(head).encode() + b"\n"
    nonce = secrets.token_bytes(_NONCE_BYTES)
    draft: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        draft = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(line + nonce + AESGCM(key).encrypt(nonce, content, line))
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
    except BaseException as error:
        if draft:
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StackError(f"cannot write {path}: {error.strerror}") from None
        raise


def about(path: Path) -> dict[str, Any]:
    """What everybody can read of it. Raises StackError."""
    return _parts(path)[0]


def read(path: Path, stack: Stack) -> bytes:
    """What was encrypted. Raises StackError."""
    head, line, sealed = _parts(path)
    try:
        key = base64.b64decode(_decrypted(stack, head["key"]), validate=True)
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], line)
    except (InvalidTag, ValueError, binascii.Error):
        raise StackError(f"{path} is damaged: it is not as it was written. Take another copy of it") from None


def _parts(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """What its first line says, that line, and the rest."""
    try:
        line, _, sealed = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise StackError(f"{path}: {error.strerror}") from None
    try:
        head = json.loads(line)
        is_ours = isinstance(head, dict) and head.get(_FORMAT) == _VERSION and "key" in head
    except ValueError:
        is_ours = False
    if not is_ours:
        raise StackError(f"{path} is not a backup that this checkout can read. `make backup` writes one")
    return head, line + b"\n", sealed


def _encrypted(stack: Stack, key: bytes) -> str:
    """The key as Pulumi writes it into a stack file that has nothing else in it."""
    with tempfile.TemporaryDirectory() as folder:  # 0700
        file = Path(folder) / "key.yaml"
        file.write_text(yaml.safe_dump(stack.secrets_provider()), encoding="utf-8")
        words = ("config", "set", "--secret", "--non-interactive", "--config-file", str(file), _KEY)
        stack.pulumi(*words, stdin=base64.b64encode(key).decode(), secret=True)
        return file.read_text(encoding="utf-8")


def _decrypted(stack: Stack, text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "key.yaml"
        file.write_text(text, encoding="utf-8")
        return stack.pulumi("config", "get", "--config-file", str(file), _KEY, secret=True).strip()
