"""How large a stack's configuration is when the language host gives it to the program.

pulumi-language-python puts the whole of it into one environment variable: `PULUMI_CONFIG=` and a JSON object of full
key → text, where a list or a mapping is JSON in that text (pulumi/pulumi, sdk/python/cmd/pulumi-language-python/main.go
and sdk/go/common/resource/config/plaintext.go). Linux starts no program with a variable of more than 32 pages
(execve(2)): the host says `fork/exec …: argument list too long`, and the program, which could say more, never runs.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping

from plan.problems import Problem

LIMIT = 131072
"""Bytes of the variable, with its name and the zero byte at its end."""
_AROUND = len("PULUMI_CONFIG=") + 1
_SHOWN = 3
_UNKNOWN_OVERHEAD = 256
"""More than any secrets provider adds to a text that it encrypts in a form of its own."""


def variable_bytes(config: Mapping[str, object], *, project: str) -> int:
    """What the variable takes at least: what is encrypted in `config` counts as no more than its text can be."""
    return _AROUND + len(_go_json({_full(key, project): _text(value) for key, value in config.items()}))


def size_problems(config: Mapping[str, object], *, project: str) -> list[Problem]:
    """One problem if the configuration (below `config:` of a stack file) is more than the host can pass on."""
    size = variable_bytes(config, project=project)
    if size <= LIMIT:
        return []
    sizes = {_full(key, project): len(_go_json(_text(value))) for key, value in config.items()}
    largest = sorted(sizes, key=lambda key: -sizes[key])[:_SHOWN]
    return [
        Problem(
            path="config",
            value="",
            what=f"{size} bytes as Pulumi gives it to this program, in one environment variable, which Linux does not "
            f"allow; the most of it: {', '.join(f'{key} ({sizes[key]} bytes)' for key in largest)}",
            allowed=f"at most {LIMIT} bytes",
            remedy="Take out of these keys what only repeats a default, or spread the pools over several stacks.",
        )
    ]


def _full(key: str, project: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: object) -> str:
    """A value of the stack file as the program gets it."""
    clear = _decrypted(value)
    return clear if isinstance(clear, str) else _go_json(clear).decode()


def _decrypted(value: object) -> object:
    if isinstance(value, dict):
        if list(value) == ["secure"] and isinstance(value["secure"], str):
            return "x" * _clear_bytes(value["secure"])
        return {str(key): _decrypted(item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)  # Go writes 1.0 as 1
    return [_decrypted(item) for item in value] if isinstance(value, list) else value


def _clear_bytes(encrypted: str) -> int:
    """How long the encrypted text is at least: `v1:NONCE:TEXT` is AES-GCM with a tag of 16 bytes, both base64."""
    head, _, text = encrypted.rpartition(":")
    try:
        length = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        return 0
    return max(0, length - (16 if re.fullmatch(r"v1:[^:]*", head) else _UNKNOWN_OVERHEAD))


def _go_json(value: object) -> bytes:
    """JSON as Go's encoding/json writes it: without spaces, in UTF-8, with escapes for HTML and JavaScript."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode(errors="replace")
