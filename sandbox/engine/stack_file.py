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
        raise SandboxError(f"{stack_file} has no `config:` mapping at its top, so it is not a stack file")
    return config


def merged(
    chosen: Mapping[str, Any], public_key: str, own: Mapping[str, Any], supplies: Mapping[str, Mapping[str, str]] | None
) -> dict[str, Any]:
    """The chosen configuration with the sandbox's secrets and `supplies`, keys of its sections, instead of its own."""
    ssh = {key: value for key, value in (chosen.get(f"{_NAMESPACE}:ssh") or {}).items() if key != "agentSocketPath"}
    ssh["publicKey"] = public_key
    merged = {**chosen, f"{_NAMESPACE}:ssh": ssh, **own}
    for section, keys in (supplies or {}).items():
        merged[f"{_NAMESPACE}:{section}"] = {**(chosen.get(f"{_NAMESPACE}:{section}") or {}), **keys}
    return merged
