"""The stand-ins where the engine looks for its plugins: a program of Go, and small ones that start this interpreter."""

import importlib.metadata
from pathlib import Path

from sandbox import private_file
from sandbox.providers import interpreter
from sandbox.tools import toolchain
from sandbox.virtualenv import CHECKOUT

_LANGUAGE_HOST_VERSION = "3.259.0"
_PROVIDERS = {"azure-native": "cloud.azure_native", "kubernetes": "providers.kubernetes"}


def install(folder: Path) -> None:
    """Into `folder`, the `plugins` of a PULUMI_HOME."""
    _install(folder / f"language-python-v{_LANGUAGE_HOST_VERSION}", "language-python", "providers.language_host")
    for name, module in _PROVIDERS.items():
        _install(_provider(folder, name), f"resource-{name}", module)
    command = _provider(folder, "command") / "pulumi-resource-command"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.unlink(missing_ok=True)
    command.symlink_to(toolchain.command())


def _provider(folder: Path, name: str) -> Path:
    """Where the engine looks for the provider of the installed SDK."""
    return folder / f"resource-{name}-v{importlib.metadata.version(f'pulumi-{name}')}"


def _install(folder: Path, plugin: str, module: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # -P: the engine starts it in the program's folder, whose modules are the program's.
    script = interpreter.start_script(str(CHECKOUT), "-Pm", f"sandbox.{module}")
    private_file.write(folder / f"pulumi-{plugin}", script, mode=0o700)
