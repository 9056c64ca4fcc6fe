"""The programs the sandbox runs, others' and ours, built from their Go modules and kept in the cache.

Nothing is downloaded as a binary. Versions are those of each module's go.mod and go.sum.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.error import SandboxError

_HERE = Path(__file__).parent
_PULUMI, _KUBERNETES, _GPU = _HERE / "pulumi", _HERE / "kubernetes", _HERE.parent / "gpu"
_COMMAND, _CONTAINERD, _NVIDIA = _HERE / "command", _HERE / "containerd", _HERE / "nvidia"
_RKE2 = _HERE.parent / "rke2" / "program"
_NVML = _GPU / "nvml"
_GO_NVML = "github.com/NVIDIA/go-nvml"
_NVIDIAS_TOOLKIT = "github.com/NVIDIA/nvidia-container-toolkit"
TOOLKIT_PROGRAMS = ("nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk", "nvidia-cdi-hook")
"""Those of NVIDIA's container toolkit that its packages bring."""
# As NVIDIA builds its own: the driver's library is loaded when it is needed, and its functions are looked up then.
_NVML_LINK = "-extldflags=-Wl,--export-dynamic,--unresolved-symbols=ignore-in-object-files,-z,lazy"
_SHARED_NAME = "-extldflags=-Wl,-soname,libnvidia-ml.so.1"
_CATALOGUE = _HERE.parent.parent / "plan" / "gpu" / "catalogue.json"
"""NVIDIA's models and profiles, of which the plan and the fake GPU are to have one table."""
_CALLED_AS = ("etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_SHIM = "containerd-shim-runc-v2"
_OLDEST_GO = (1, 21)
"""From here on Go understands a newer go.mod and fetches the toolchain it names."""
# Debug information nobody reads here costs a quarter of the build. What has other flags shares nothing with it.
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")


def pulumi() -> Path:
    """The Pulumi CLI: the one on PATH, else built from its module. MIG_K8S_BUILD_PULUMI=1 always builds."""
    found = shutil.which("pulumi")
    if found and os.environ.get("MIG_K8S_BUILD_PULUMI") != "1":
        return Path(found)

    def build(draft: Path) -> None:
        version = _version(_PULUMI, "github.com/pulumi/pulumi/pkg/v3")
        symbol = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
        _go_build(_PULUMI, draft / "pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", f"-X {symbol}={version}")

    return _cached("pulumi", _PULUMI, _module_files(_PULUMI), build, "about 4 min") / "pulumi"


def command() -> Path:
    """The stand-in of pulumi-resource-command."""

    def build(draft: Path) -> None:
        _go_build(_COMMAND, draft / "pulumi-resource-command", ".", "")

    return _cached("command", _COMMAND, _sources(_COMMAND), build, "about 1 min") / "pulumi-resource-command"


def kubernetes() -> Path:
    """The directory of etcd, etcdutl, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl.

    All are links beside one static program, `kube`, that looks at the name it is called by.
    """

    def build(draft: Path) -> None:
        _go_build(_KUBERNETES, draft / "kube", ".", _kubernetes_versions())
        for name in _CALLED_AS:
            (draft / name).symlink_to("kube")

    return _cached("kubernetes", _KUBERNETES, _module_files(_KUBERNETES), build, "about 6 min")


def kubectl() -> Path:
    """The kubectl program."""
    return kubernetes() / "kubectl"


def containerd() -> Path:
    """The directory of containerd, ctr, which is a link beside it, and containerd-shim-runc-v2.

    The shim is a program of its own, as one runs for every pod: it takes a third of the memory that both in one would.
    """

    def build(draft: Path) -> None:
        package = "github.com/containerd/containerd/v2"
        version = f"-X {package}/version.Version={_version(_CONTAINERD, package)}"
        _go_build(_CONTAINERD, draft / "containerd", ".", version)
        _go_build(_CONTAINERD, draft / _SHIM, f"{package}/cmd/{_SHIM}", version)
        (draft / "ctr").symlink_to("containerd")

    return _cached("containerd", _CONTAINERD, _module_files(_CONTAINERD), build, "about 35 s")


def helm() -> Path:
    """The Helm program."""

    def build(draft: Path) -> None:
        _go_build(_KUBERNETES, draft / "helm", "helm.sh/helm/v3/cmd/helm", _kubernetes_versions())

    return _cached("helm", _KUBERNETES, _module_files(_KUBERNETES), build, "about 30 s") / "helm"


def operator() -> Path:
    """The program that runs in the pods of the GPU Operator's stand-in."""

    def build(draft: Path) -> None:
        _go_build(_KUBERNETES, draft / "operator", "./operator", "")

    files = [*_module_files(_KUBERNETES), *_sources(_KUBERNETES / "operator")]
    return _cached("operator", _KUBERNETES, files, build, "about 30 s") / "operator"


def gpu() -> Path:
    """The fake GPU's program, by its name nvidia-smi, container runtime or driver."""

    def build(draft: Path) -> None:
        with _with_catalogue() as overlay:
            _go_build(_GPU, draft / "gpu", ".", "", *overlay)

    files = [file for file in _sources(_GPU) if not file.is_relative_to(_NVML)]
    return _cached("gpu", _GPU, files, build, "about 20 s", beside=[_CATALOGUE]) / "gpu"


def nvml() -> Path:
    """The driver's library over the same GPUs: libnvidia-ml.so.1. Needs a C compiler."""

    def build(draft: Path) -> None:
        with _with_catalogue() as overlay:
            _go_build(_GPU, draft / "libnvidia-ml.so.1", "./nvml", _SHARED_NAME, *overlay, compiler=_c_compiler())

    return _cached("nvml", _GPU, _sources(_GPU), build, "about 20 s", beside=[_CATALOGUE]) / "libnvidia-ml.so.1"


def container_toolkit() -> Path:
    """The directory of NVIDIA's container toolkit: its programs, and `systemd` with its units. Needs a C compiler."""

    def build(draft: Path) -> None:
        version = _version(_NVIDIA, _NVIDIAS_TOOLKIT).removeprefix("v")
        link = f"{_NVML_LINK} -X {_NVIDIAS_TOOLKIT}/internal/info.version={version}"
        for name in TOOLKIT_PROGRAMS:
            _go_build(_NVIDIA, draft / name, f"{_NVIDIAS_TOOLKIT}/cmd/{name}", link, compiler=_gcc())
        sources = Path(_go(_NVIDIA, "list", "-m", "-f", "{{.Dir}}", _NVIDIAS_TOOLKIT).strip())
        shutil.copytree(sources / "deployments/systemd", draft / "systemd", copy_function=shutil.copyfile)
        (draft / "systemd").chmod(0o755)  # Go keeps its modules read-only

    return _cached("container-toolkit", _NVIDIA, _module_files(_NVIDIA), build, "about 45 s")


def gpu_inventory() -> Path:
    """The program that sees GPUs through NVIDIA's go-nvlib, for the operator's pods. Needs a C compiler."""

    def build(draft: Path) -> None:
        _go_build(_NVIDIA, draft / "gpu-inventory", "./inventory", _NVML_LINK, compiler=_gcc())

    files = [*_module_files(_NVIDIA), *_sources(_NVIDIA / "inventory")]
    return _cached("gpu-inventory", _NVIDIA, files, build, "about 10 s") / "gpu-inventory"


def with_c(name: str, module: Path) -> Path:
    """A program of a module outside of the sandbox, such as a test's, that needs a C compiler."""

    def build(draft: Path) -> None:
        _go_build(module, draft / name, ".", "", compiler=_c_compiler())

    return _cached(name, module, _sources(module), build, "about 20 s") / name


@contextlib.contextmanager
def _with_catalogue() -> Iterator[list[str]]:
    """Arguments of a build in which the fake GPU has the plan's catalogue: Go embeds nothing from outside a module."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as overlay:
        json.dump({"Replace": {str(_GPU / "driver" / _CATALOGUE.name): str(_CATALOGUE)}}, overlay)
        overlay.flush()
        yield ["-overlay", overlay.name]


def _gcc() -> dict[str, str]:
    """The environment in which Go builds with C."""
    if shutil.which("gcc") is None:
        raise SandboxError(
            "gcc is not on PATH, and what uses the driver's library is built with it: apt-get install build-essential"
        )
    return {"CGO_ENABLED": "1", "CC": "gcc"}


def _c_compiler() -> dict[str, str]:
    """The environment in which Go builds with C and finds NVIDIA's nvml.h, which is part of go-nvml's module."""
    gcc = _gcc()
    _go(_GPU, "mod", "download", _GO_NVML)
    header = Path(_go(_GPU, "list", "-m", "-f", "{{.Dir}}", _GO_NVML).strip()) / "pkg" / "nvml"
    return {**gcc, "CGO_CFLAGS": f"-O2 -I{header}"}


def rke2(version: str) -> Path:
    """The main process of RKE2's stand-in, which says that it is of this version."""

    def build(draft: Path) -> None:
        _go_build(_RKE2, draft / "rke2", ".", f"-X main.version={version}")

    return _cached(f"rke2-program-{version}", _RKE2, _sources(_RKE2), build, "about 5 s") / "rke2"


def _cached(  # noqa: PLR0913 - what decides the product, and how it is made
    name: str,
    module: Path,
    files: Iterable[Path],
    build: Callable[[Path], None],
    expected: str | None = None,
    *,
    beside: Iterable[Path] = (),
) -> Path:
    """`beside`: files from outside of the module."""
    key = digest(digest_of_files(module, files), _go_version(), *FLAGS, *(file.read_bytes() for file in beside))
    return cached(name, key, build, expected=expected)


def _module_files(module: Path) -> list[Path]:
    """What decides the programs of a module that come from elsewhere: its versions and its main package."""
    return [*module.glob("go.*"), *module.glob("*.go")]


def _sources(folder: Path) -> list[Path]:
    """Everything below `folder` that a program may be made of or embed."""
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("_test.go")]


def _kubernetes_versions() -> str:
    version = _version(_KUBERNETES, "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    package = "k8s.io/component-base/version"
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    facts["buildDate"] = "1970-01-01T00:00:00Z"
    helm_version = _version(_KUBERNETES, "helm.sh/helm/v3")
    flags = [f"-X {package}.{name}={value}" for name, value in facts.items()]
    return " ".join([*flags, f"-X helm.sh/helm/v3/internal/version.version={helm_version}"])


def _version(module: Path, dependency: str) -> str:
    return _go(module, "list", "-m", "-f", "{{.Version}}", dependency).strip()


def _go_build(
    module: Path, target: Path, package: str, link: str, *more: str, compiler: Mapping[str, str] | None = None
) -> None:
    """A reproducible program of `package` at `target`: static, or with C and then a library if that is its name."""
    shared = ["-buildmode=c-shared"] if ".so" in target.suffixes else []
    flags = [*FLAGS, *shared, *more, "-ldflags", f"-s -w {link}".strip()]
    _go(module, "build", *flags, "-o", str(target), package, compiler=compiler)


def _go(module: Path, *arguments: str, compiler: Mapping[str, str] | None = None) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", **(compiler or {})}
    done = subprocess.run(["go", *arguments], cwd=module, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        lines = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise SandboxError(f"`go {arguments[0]}` failed in {module}:\n{lines}")
    return done.stdout


@functools.cache
def _go_version() -> str:
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
