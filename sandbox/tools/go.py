"""Programs built from Go modules, and kept in the cache by what they are made of.

No program is downloaded as a binary but Go itself. Versions are those of each module's go.mod and go.sum.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sandbox import person
from sandbox.cache import cached, digest, digest_of_files
from sandbox.error import SandboxError
from sandbox.tools import go_toolchain

# Debug information, which is not used here, costs a quarter of the build. Builds with other flags share nothing.
_NO_DEBUG = "-dwarf=false"
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", f"-gcflags=all={_NO_DEBUG}")
_UNOPTIMIZED = "go.unoptimized"
"""A module's file of packages, a pattern each line, that are compiled in half the time, without optimization."""


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
    others = (file.read_bytes() for file in beside)
    key = digest(digest_of_files(module, files), go_toolchain.go().version, *FLAGS, *others)
    return cached(name, key, build, expected=expected)


def module_files(module: Path) -> list[Path]:
    """What decides the programs of a module that come from elsewhere: its versions and its main package."""
    return [*module.glob("go.*"), *module.glob("*.go")]


def sources(folder: Path) -> list[Path]:
    """Everything below `folder` that a program may be made of or embed."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("_test.go")]


def version(module: Path, dependency: str) -> str:
    """The version of a module that this one depends on."""
    return run(module, "list", "-m", "-f", "{{.Version}}", dependency).strip()


def build(
    module: Path,
    target: Path,
    package: str | Iterable[str],
    link: str,
    *more: str,
    compiler: Mapping[str, str] | None = None,
) -> None:
    """A reproducible program of `package` at `target`: static, or with C and then a library if that is its name.

    Of more packages one each, in the directory `target`.
    """
    packages = [package] if isinstance(package, str) else package
    shared = ["-buildmode=c-shared"] if ".so" in target.suffixes else []
    linked = ["-ldflags", f"-s -w {link}".strip()]
    run(module, "build", *flags(module), *shared, *more, *linked, "-o", str(target), *packages, compiler=compiler)


def flags(module: Path) -> list[str]:
    """How a module is compiled: with these, `go test` and `go vet` compile nothing that `build` has compiled."""
    file = module / _UNOPTIMIZED
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    unoptimized = [f"-gcflags={line}=-N -l {_NO_DEBUG}" for line in lines if not line.startswith("#")]
    return [*FLAGS, *unoptimized]


def run(module: Path, *arguments: str, compiler: Mapping[str, str] | None = None) -> str:
    """What Go prints, run in a module, without C unless a `compiler` is given. Raises SandboxError.

    It runs as the person: its modules and caches are theirs.
    """
    go = go_toolchain.go()
    own = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **go.environment, **(compiler or {})}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [go.program, *arguments],
        cwd=module,
        env={**os.environ, **own},
        text=True,
        capture_output=True,
        check=False,
        **person.identity(),
    )
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
