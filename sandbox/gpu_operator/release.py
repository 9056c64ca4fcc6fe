"""The GPU Operator's release as the mirror serves it: a Helm repository and the container images the chart names."""

import re
import shutil
import tempfile
from pathlib import Path

from sandbox.cache import cached, digest, digest_of_files
from sandbox.mirror import registry
from sandbox.process import run

VERSION, OLDER_VERSION = "v26.7.0", "v26.3.2"
_DEVICE_PLUGIN, _OLDER_DEVICE_PLUGIN = "v0.20.0", "v0.19.2"
IMAGES = (
    f"nvcr.io/nvidia/gpu-operator:{VERSION}",
    f"nvcr.io/nvidia/k8s-device-plugin:{_DEVICE_PLUGIN}",
    "nvcr.io/nvidia/cloud-native/k8s-mig-manager:v0.15.0",
    "registry.k8s.io/nfd/node-feature-discovery:v0.18.3",
)
"""The defaults of the chart's values. One program in all of them: the chart's arguments say which part it plays."""
OLDER_IMAGES = (
    f"nvcr.io/nvidia/gpu-operator:{OLDER_VERSION}",
    f"nvcr.io/nvidia/k8s-device-plugin:{_OLDER_DEVICE_PLUGIN}",
)
"""The images of the older chart that differ."""

CHART = Path(__file__).parent / "chart"
_PROGRAM, _INVENTORY = "/usr/bin/gpu-operator", "/usr/bin/gpu-inventory"


def publish(mirror: Path, operator: Path, inventory: Path, helm: Path) -> None:
    """Put /charts and the images into a mirror's tree. `operator`, `inventory` and `helm` are programs."""
    shutil.rmtree(mirror / "charts", ignore_errors=True)
    shutil.copytree(chart_repository(helm), mirror / "charts")
    images = _images(operator, inventory)
    for repository in images.glob("v2/*/*"):
        target = mirror / repository.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()
        target.symlink_to(repository)


def chart_repository(helm: Path) -> Path:
    """A directory with index.yaml and two packaged charts, which differ in their versions and their device plugins."""

    def build(draft: Path) -> None:
        run([str(helm), "package", str(CHART), "--destination", str(draft)])
        with tempfile.TemporaryDirectory() as folder:
            older = Path(shutil.copytree(CHART, Path(folder) / "gpu-operator"))
            values = older / "values.yaml"
            values.write_text(values.read_text().replace(_DEVICE_PLUGIN, _OLDER_DEVICE_PLUGIN))
            version = ("--version", OLDER_VERSION, "--app-version", OLDER_VERSION)
            run([str(helm), "package", str(older), *version, "--destination", str(draft)])
        run([str(helm), "repo", "index", str(draft)])

    files = (path for path in CHART.rglob("*") if path.is_file())
    return cached("gpu-operator-charts", digest(digest_of_files(CHART, files), OLDER_VERSION), build)


def _images(operator: Path, inventory: Path) -> Path:
    """A registry's tree with nothing but the images of both charts."""
    references = (*IMAGES, *OLDER_IMAGES)
    files: dict[str, registry.File] = {_PROGRAM: (operator, 0o755), _INVENTORY: (inventory, 0o755)}
    files |= {path: (Path(path), 0o755) for path in _libraries_of(inventory)}

    def build(draft: Path) -> None:
        for reference in references:
            registry.publish(draft, reference, files, entrypoint=[_PROGRAM])

    contents = (file.read_bytes() for file, _ in files.values() if isinstance(file, Path))
    key = digest(*references, Path(registry.__file__).read_bytes(), *contents)
    return cached("gpu-operator-images", key, build, expected="about 5 s")


def _libraries_of(program: Path) -> list[str]:
    """The C library and the loader that a program linked with C was built with here, by their paths."""
    return re.findall(r"(/\S+) \(0x", run(["ldd", str(program)]))
