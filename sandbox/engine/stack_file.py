"""A stack file as the sandbox uses it: the chosen one, with the sandbox's own keys and places to get things from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.error import SandboxError

_NAMESPACE = "mig-k8s"


def configuration(stack_file: Path) -> dict[str, Any]:
    """The `config` mapping of a stack file."""
    try:
        document = yaml.safe_load(stack_file.read_text())
    except OSError as error:
        raise SandboxError(
            f"{stack_file}: {error.strerror}; STACK names a stack file, e.g. examples/single.yaml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SandboxError(f"{stack_file} is not YAML: {error}") from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise SandboxError(f"{stack_file} has no `config:` mapping at its top, so it is no stack file")
    return config


def merged(
    chosen: Mapping[str, Any], public_key: str, own: Mapping[str, Any], sources: Mapping[str, str] | None
) -> dict[str, Any]:
    """The chosen configuration with the sandbox's secrets and sources instead of its own."""
    merged = {**chosen, f"{_NAMESPACE}:ssh": {"publicKey": public_key}, **own}
    if sources is not None:
        merged[f"{_NAMESPACE}:sources"] = {**(chosen.get(f"{_NAMESPACE}:sources") or {}), **sources}
        rke2 = chosen.get(f"{_NAMESPACE}:rke2")
        if isinstance(rke2, dict):  # the checksum of a real artifact says nothing of ours
            merged[f"{_NAMESPACE}:rke2"] = {key: value for key, value in rke2.items() if key != "sha256"}
    return merged
