"""The virtual environment with everything in requirements-dev.lock, kept in the cache.

Runs on any Python ≥ 3.11 without packages, since it brings them: `python3 -m sandbox.virtualenv` prints its path.
The `venv` that Pulumi.yaml names is not ours: `pulumi install` makes it, by `python -m venv`, whoever ran what before.
"""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from sandbox import person
from sandbox.cache import cached, digest, give_back, location
from sandbox.cache import root as cache_root
from sandbox.debian import packages
from sandbox.error import SandboxError
from sandbox.progress import say

CHECKOUT = Path(__file__).parent.parent
_NAME = "python"
_LOCK = "requirements-dev.lock"
"""Every package with the hashes of its files: whatever else an index sends is not installed."""
_USES = """
import grpc, pydantic, yaml
import pulumi, pulumi.automation, pulumi_azure_native as azure, pulumi_kubernetes as kubernetes
from pulumi_command import remote
azure.compute.VirtualMachine, azure.devtestlab.GlobalSchedule, azure.network.Subnet, azure.resources.ResourceGroup
kubernetes.Provider, kubernetes.core.v1.Namespace, kubernetes.helm.v3.Release
"""
"""What the program and the stand-ins use, and so what is compiled: the generated SDKs hold ten thousand modules more.

The SDKs import a module when something of it is used for the first time.
"""


def virtualenv(lock: str = _LOCK) -> Path:
    """The environment's directory, made if this lock has none for this Python yet."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the system's own interpreter may well be older
        raise SandboxError(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed")
    key = digest(sys.version, sysconfig.get_platform(), sys.base_prefix, (CHECKOUT / lock).read_bytes())
    place = location(_NAME, key)
    if not place.is_dir():
        cached(_NAME, key, lambda draft: _build(draft, place, lock), expected="about 1 min")
        if lock == _LOCK:
            _compile(place)
    return place


def remove_old_link(checkout: Path) -> None:
    """Take away the link `venv` that earlier versions put into the checkout: `python -m venv` refuses to replace it."""
    link = checkout / "venv"
    if not link.is_symlink() or link.readlink().parts[-3:-1] != (cache_root().name, _NAME):
        return
    try:
        link.unlink(missing_ok=True)
    except OSError as error:
        say(f"{link}, a link of an earlier version, stops `pulumi install`, and it cannot be removed: {error.strerror}")


def _build(draft: Path, place: Path, lock: str = _LOCK) -> None:
    python = draft / "bin" / "python"
    if importlib.util.find_spec("ensurepip") is None:  # Debian and Ubuntu have it in a package of its own
        packages.install([f"python{sys.version_info.major}.{sys.version_info.minor}-venv"])
    _run([sys.executable, "-m", "venv", str(draft)], None, "Python's own module venv, in Debian a package of its own")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    _run([*pip, "--require-hashes", "-r", str(CHECKOUT / lock)], None, "is the package index reachable?")
    for script in (draft / "bin").iterdir():  # their first lines name the place they were written to
        if script.is_symlink() or str(draft).encode() not in (text := script.read_bytes()):
            continue
        script.write_bytes(text.replace(str(draft).encode(), str(place).encode()))


def _compile(place: Path) -> None:
    """Compile what is used, for wherever this environment's bytecode goes: the draft's would carry the draft's path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    _run([str(place / "bin" / "python"), "-c", _USES], environment, "a package in requirements.txt is broken")


def _run(command: list[str], environment: dict[str, str] | None, remedy: str) -> None:
    # As the person: the caches of pip and of Python's bytecode are theirs.
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, **person.identity())
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise SandboxError(f"`{' '.join(command[:4])} …` failed ({remedy}):\n{said}")


if __name__ == "__main__":
    person.take_the_place()
    give_back()
    try:
        remove_old_link(CHECKOUT)
        print(virtualenv())
    except SandboxError as error:
        say(str(error))
        sys.exit(1)
