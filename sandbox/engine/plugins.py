"""The stand-ins where the engine looks for its plugins: small programs that start them by this interpreter."""

import importlib.metadata
import shlex
import sys
from pathlib import Path

from sandbox import private_file
from sandbox.virtualenv import CHECKOUT

_LANGUAGE_HOST_VERSION = "3.259.0"
_PROVIDERS = {
    "azure-native": "cloud.azure_native",
    "command": "providers.command",
    "kubernetes": "providers.kubernetes",
}


def install(folder: Path) -> None:
    """Into `folder`, the `plugins` of a PULUMI_HOME."""
    _install(folder / f"language-python-v{_LANGUAGE_HOST_VERSION}", "language-python", "providers.language_host")
    for name, module in _PROVIDERS.items():
        version = importlib.metadata.version(f"pulumi-{name}")
        _install(folder / f"resource-{name}-v{version}", f"resource-{name}", module)


def _install(folder: Path, plugin: str, module: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    start = f"PYTHONPATH={shlex.quote(str(CHECKOUT))} exec {shlex.quote(sys.executable)} -m sandbox.{module}"
    private_file.write(folder / f"pulumi-{plugin}", f'#!/bin/sh\n{start} "$@"\n', mode=0o700)
