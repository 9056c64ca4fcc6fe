"""Programs built from Go modules, and kept in the cache by what they are made of.

Nothing is downloaded as a binary. Versions are those of each module's go.mod and go.sum.
"""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.error import SandboxError

_OLDEST_GO = (1, 21)
"""From here on Go understands a newer go.mod and fetches the toolchain it names."""
# Debug information nobody reads here costs a quarter of the build. What has other flags shares nothing with it.
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")


def kept(  # noqa: PLR0913 - what decides the product, and how it is made
    name: str,
    module: Path,
    files: Iterable[Path],
    build: Callable[[Path], None],
    expected: str | None = None,
    *,
    beside: Iterable[Path] = (),
) -> Path:
    """What `build` fills an empty directory with, made at most once for these files of a module and this Go.

    `beside`: files from outside of the module. `expected` tells people how long it takes.
    """
    key = digest(digest_of_files(module, files), go_version(), *FLAGS, *(file.read_bytes() for file in beside))
    return cached(name, key, build, expected=expected)


def module_files(module: Path) -> list[Path]:
    """What decides the programs of a module that come from elsewhere: its versions and its main package."""
    return [*module.glob("go.*"), *module.glob("*.go")]


def sources(folder: Path) -> list[Path]:
    """Everything below `folder` that a program may be made of or embed."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("_test.go")]


def version(module: Path, dependency: str) -> str:
    """Of a module that this one depends on."""
    return run(module, "list", "-m", "-f", "{{.Version}}", dependency).strip()


def build(
    module: Path, target: Path, package: str, link: str, *more: str, compiler: Mapping[str, str] | None = None
) -> None:
    """A reproducible program of `package` at `target`: static, or with C and then a library if that is its name."""
    shared = ["-buildmode=c-shared"] if ".so" in target.suffixes else []
    flags = [*FLAGS, *shared, *more, "-ldflags", f"-s -w {link}".strip()]
    run(module, "build", *flags, "-o", str(target), package, compiler=compiler)


def run(module: Path, *arguments: str, compiler: Mapping[str, str] | None = None) -> str:
    """What Go prints, run in a module, without C unless a `compiler` is given. Raises SandboxError."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **(compiler or {})}
    done = subprocess.run(["go", *arguments], cwd=module, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        lines = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise SandboxError(f"`go {arguments[0]}` failed in {module}:\n{lines}")
    return done.stdout


def with_gcc() -> dict[str, str]:
    """The environment in which Go builds with C."""
    if shutil.which("gcc") is None:
        raise SandboxError(
            "gcc is not on PATH, and what uses the driver's library is built with it: apt-get install build-essential"
        )
    return {"CGO_ENABLED": "1", "CC": "gcc"}


@functools.cache
def go_version() -> str:
    """The version of the Go on PATH, such as `go1.26.8`."""
    remedy = "install Go 1.25 or newer (go.dev/dl) and put it on PATH"
    program = shutil.which("go")
    if program is None:
        raise SandboxError(f"Go is not on PATH, and the sandbox's programs are built from source: {remedy}")
    beside = Path(program).resolve().parent.parent / "VERSION"  # asking Go itself would write to the user's home
    said = beside.read_text() if beside.is_file() else subprocess.check_output([program, "version"], text=True)
    match = re.search(r"\bgo(\d+)\.(\d+)\S*", said)
    if not match:
        raise SandboxError(f"{program} says its version is {said.strip()!r}: {remedy}")
    if (int(match[1]), int(match[2])) < _OLDEST_GO:
        raise SandboxError(f"{match[0]} on PATH is too old: {remedy}")
    return match[0]
