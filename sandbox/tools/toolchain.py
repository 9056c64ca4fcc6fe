"""The programs the sandbox runs, others' and ours, built from their Go modules and kept in the cache."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox import person
from sandbox.tools import go

_HERE = Path(__file__).parent
_KUBERNETES, _GPU = _HERE / "kubernetes", _HERE.parent / "gpu"
_COMMAND, _CONTAINERD, _NVIDIA = _HERE / "command", _HERE / "containerd", _HERE / "nvidia"
_RKE2 = _HERE.parent / "rke2" / "program"
_NVML = _GPU / "nvml"
_GO_NVML = "github.com/NVIDIA/go-nvml"
_NVIDIAS_TOOLKIT = "github.com/NVIDIA/nvidia-container-toolkit"
TOOLKIT_PROGRAMS = ("nvidia-container-runtime", "nvidia-container-runtime-hook", "nvidia-ctk", "nvidia-cdi-hook")
"""The programs that the packages of NVIDIA's container toolkit bring."""
# As NVIDIA builds its own: the driver's library is loaded when it is needed, and its functions are looked up then.
_NVML_LINK = "-extldflags=-Wl,--export-dynamic,--unresolved-symbols=ignore-in-object-files,-z,lazy"
_SHARED_NAME = "-extldflags=-Wl,-soname,libnvidia-ml.so.1"
_CATALOGUE = _HERE.parent.parent / "plan" / "gpu" / "catalogue.json"
"""NVIDIA's models and profiles, of which the plan and the fake GPU are to have one table."""
_CALLED_AS = ("etcd", "etcdutl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
_SHIM = "containerd-shim-runc-v2"


def command() -> Path:
    """The stand-in of pulumi-resource-command."""

    def build(draft: Path) -> None:
        go.build(_COMMAND, draft / "pulumi-resource-command", ".", "")

    return go.kept("command", _COMMAND, go.sources(_COMMAND), build, "about 1 min") / "pulumi-resource-command"


def kubernetes() -> Path:
    """The directory of etcd, etcdutl, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kubectl.

    All but kubectl are links beside one static program, `kube`, that looks at the name it is called by.
    """

    def build(draft: Path) -> None:
        go.build(_KUBERNETES, draft / "kube", ".", _kubernetes_versions())
        for name in _CALLED_AS:
            (draft / name).symlink_to("kube")
        go.build(_KUBERNETES, draft / "kubectl", "./kubectl", _kubernetes_versions())

    files = [*go.module_files(_KUBERNETES), *go.sources(_KUBERNETES / "kubectl")]
    return go.kept("kubernetes", _KUBERNETES, files, build, "about 6 min")


def kubectl() -> Path:
    """The kubectl program."""
    return kubernetes() / "kubectl"


def containerd() -> Path:
    """The directory of containerd, ctr, which is a link beside it, and containerd-shim-runc-v2.

    The shim is a program of its own, as one runs for every pod: it takes a third of the memory that both in one would.
    """

    def build(draft: Path) -> None:
        package = "github.com/containerd/containerd/v2"
        version = f"-X {package}/version.Version={go.version(_CONTAINERD, package)}"
        go.build(_CONTAINERD, draft / "containerd", ".", version)
        go.build(_CONTAINERD, draft / _SHIM, f"{package}/cmd/{_SHIM}", version)
        (draft / "ctr").symlink_to("containerd")

    return go.kept("containerd", _CONTAINERD, go.module_files(_CONTAINERD), build, "about 35 s")


def helm() -> Path:
    """The Helm program."""

    def build(draft: Path) -> None:
        go.build(_KUBERNETES, draft / "helm", "helm.sh/helm/v3/cmd/helm", _kubernetes_versions())

    return go.kept("helm", _KUBERNETES, go.module_files(_KUBERNETES), build, "about 30 s") / "helm"


def operator() -> Path:
    """The program that runs in the pods of the GPU Operator's stand-in."""

    def build(draft: Path) -> None:
        go.build(_KUBERNETES, draft / "operator", "./operator", "")

    files = [*go.module_files(_KUBERNETES), *go.sources(_KUBERNETES / "operator")]
    return go.kept("operator", _KUBERNETES, files, build, "about 30 s") / "operator"


def gpu() -> Path:
    """The fake GPU's program, by its name nvidia-smi, container runtime or driver."""

    def build(draft: Path) -> None:
        with _with_catalogue() as overlay:
            go.build(_GPU, draft / "gpu", ".", "", *overlay)

    files = [file for file in go.sources(_GPU) if not file.is_relative_to(_NVML)]
    return go.kept("gpu", _GPU, files, build, "about 20 s", beside=[_CATALOGUE]) / "gpu"


def nvml() -> Path:
    """The driver's library over the same GPUs: libnvidia-ml.so.1. Needs a C compiler."""

    def build(draft: Path) -> None:
        with _with_catalogue() as overlay:
            go.build(_GPU, draft / "libnvidia-ml.so.1", "./nvml", _SHARED_NAME, *overlay, compiler=_c_compiler())

    return go.kept("nvml", _GPU, go.sources(_GPU), build, "about 20 s", beside=[_CATALOGUE]) / "libnvidia-ml.so.1"


def container_toolkit() -> Path:
    """The directory of NVIDIA's container toolkit: its programs, and `systemd` with its units. Needs a C compiler."""

    def build(draft: Path) -> None:
        version = go.version(_NVIDIA, _NVIDIAS_TOOLKIT).removeprefix("v")
        link = f"{_NVML_LINK} -X {_NVIDIAS_TOOLKIT}/internal/info.version={version}"
        packages = [f"{_NVIDIAS_TOOLKIT}/cmd/{name}" for name in TOOLKIT_PROGRAMS]
        go.build(_NVIDIA, draft, packages, link, compiler=go.with_gcc())
        sources = Path(go.run(_NVIDIA, "list", "-m", "-f", "{{.Dir}}", _NVIDIAS_TOOLKIT).strip())
        shutil.copytree(sources / "deployments/systemd", draft / "systemd", copy_function=shutil.copyfile)
        (draft / "systemd").chmod(0o755)  # Go keeps its modules read-only

    return go.kept("container-toolkit", _NVIDIA, go.module_files(_NVIDIA), build, "about 20 s")


def gpu_inventory() -> Path:
    """The program that sees GPUs through NVIDIA's go-nvlib, for the operator's pods. Needs a C compiler."""

    def build(draft: Path) -> None:
        go.build(_NVIDIA, draft / "gpu-inventory", "./inventory", _NVML_LINK, compiler=go.with_gcc())

    files = [*go.module_files(_NVIDIA), *go.sources(_NVIDIA / "inventory")]
    return go.kept("gpu-inventory", _NVIDIA, files, build, "about 10 s") / "gpu-inventory"


def with_c(name: str, module: Path) -> Path:
    """A program of a module outside of the sandbox, such as a test's, that needs a C compiler."""

    def build(draft: Path) -> None:
        go.build(module, draft / name, ".", "", compiler=_c_compiler())

    return go.kept(name, module, go.sources(module), build, "about 20 s") / name


@contextlib.contextmanager
def _with_catalogue() -> Iterator[list[str]]:
    """Arguments of a build in which the fake GPU has the plan's catalogue: Go embeds nothing from outside a module."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as overlay:
        json.dump({"Replace": {str(_GPU / "driver" / _CATALOGUE.name): str(_CATALOGUE)}}, overlay)
        overlay.flush()
        person.give(Path(overlay.name))
        yield ["-overlay", overlay.name]


def _c_compiler() -> dict[str, str]:
    """The environment in which Go builds with C and finds NVIDIA's nvml.h, which is part of go-nvml's module."""
    gcc = go.with_gcc()
    go.run(_GPU, "mod", "download", _GO_NVML)
    header = Path(go.run(_GPU, "list", "-m", "-f", "{{.Dir}}", _GO_NVML).strip()) / "pkg" / "nvml"
    return {**gcc, "CGO_CFLAGS": f"-O2 -I{header}"}


def rke2(version: str) -> Path:
    """The main process of RKE2's stand-in, which says that it is of this version."""

    def build(draft: Path) -> None:
        go.build(_RKE2, draft / "rke2", ".", f"-X main.version={version}")

    return go.kept(f"rke2-program-{version}", _RKE2, go.sources(_RKE2), build, "about 5 s") / "rke2"


def _kubernetes_versions() -> str:
    version = go.version(_KUBERNETES, "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    package = "k8s.io/component-base/version"
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    facts["buildDate"] = "1970-01-01T00:00:00Z"
    helm_version = go.version(_KUBERNETES, "helm.sh/helm/v3")
    flags = [f"-X {package}.{name}={value}" for name, value in facts.items()]
    return " ".join([*flags, f"-X helm.sh/helm/v3/internal/version.version={helm_version}"])
