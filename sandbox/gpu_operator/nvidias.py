"""NVIDIA's own chart and images in the mirror, from the folder or registry that GPU_OPERATOR_IMAGES names.

Tried with made-up images alone: NVIDIA's registry cannot be reached from where this was written. See the README.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from sandbox.error import SandboxError
from sandbox.gpu_operator.upstream import Registry
from sandbox.mirror import registry
from sandbox.process import run
from sandbox.progress import step

VARIABLE = "GPU_OPERATOR_IMAGES"
_PARTS = ("operator", "validator", "devicePlugin", "gfd", "migManager", "node-feature-discovery")
"""The parts of the chart's values whose images a machine of the sandbox can run; the others are switched off."""
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")

Run = Callable[[list[str]], str]


class Source(Protocol):
    """Where the chart and the images come from."""

    def problems(self, version: str) -> list[str]:
        """What is missing for a chart of this version, as far as that can be known without fetching."""

    def add_chart(self, version: str, charts: Path, run: Run) -> None:
        """Put the packaged chart into a folder; `run` runs Helm with these arguments."""

    def manifest(self, name: str, reference: str) -> bytes:
        """The manifest of an image, by its tag or digest. Raises SandboxError."""

    def blob(self, name: str, digest: str) -> bytes:
        """Raises SandboxError."""


@dataclass(frozen=True)
class Folder:
    """``charts`` with packaged charts, ``images`` with OCI image layouts whose images carry their whole reference."""

    path: Path

    def problems(self, version: str) -> list[str]:
        chart = self.path / "charts" / f"gpu-operator-{version}.tgz"
        found = [] if chart.is_file() else [f"{chart} is missing: `helm pull` writes it"]
        if not any(self._layouts()):
            found.append(f"{self.path / 'images'} holds no OCI image layout (a folder with a file oci-layout)")
        return found

    def add_chart(self, version: str, charts: Path, run: Run) -> None:  # noqa: ARG002 - nothing has to be fetched
        shutil.copyfile(self.path / "charts" / f"gpu-operator-{version}.tgz", charts / f"gpu-operator-{version}.tgz")

    def manifest(self, name: str, reference: str) -> bytes:
        for layout in self._layouts():
            for described in json.loads((layout / "index.json").read_text())["manifests"]:
                names = [described.get("annotations", {}).get(key, "") for key in _NAMES]
                if described["digest"] == reference or any(each.endswith(f"{name}:{reference}") for each in names):
                    return self.blob(name, described["digest"])
        return self.blob(name, reference)

    def blob(self, name: str, digest: str) -> bytes:
        algorithm, _, number = digest.partition(":")
        for layout in self._layouts():
            if (file := layout / "blobs" / algorithm / number).is_file():
                return file.read_bytes()
        raise SandboxError(f"{self.path / 'images'} has nothing for {name}:{digest}")

    def _layouts(self) -> Iterator[Path]:
        return (marker.parent for marker in sorted(self.path.glob("images/**/oci-layout")))


def given() -> Source | None:
    """What GPU_OPERATOR_IMAGES says, None where it says nothing. Raises SandboxError."""
    value = os.environ.get(VARIABLE, "")
    if not value:
        return None
    if (folder := Path(value).expanduser()).is_dir():
        return Folder(folder)
    if value.startswith(("/", ".", "~")):
        raise SandboxError(f"{VARIABLE}={value}: there is no such folder")
    return Registry(value)


def refuse(source: Source, version: str) -> None:
    """Refuse what cannot work. Raises SandboxError with all that is known to be missing."""
    if found := source.problems(version):
        raise SandboxError(f"{VARIABLE}: " + "; ".join(found))


def publish(mirror: Path, source: Source, version: str, helm: Path) -> None:
    """Put /charts and the images that the chart of this version names into a mirror's tree, in the place of ours."""
    with step(f"publishing NVIDIA's GPU Operator {version}", "as long as its images take"):
        charts = mirror / "charts"
        shutil.rmtree(charts, ignore_errors=True)
        charts.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as home:  # Helm's own caches are the user's
            environment = [f"HELM_{kind}_HOME={home}" for kind in ("CACHE", "CONFIG", "DATA")]

            def run_helm(arguments: list[str]) -> str:
                return run(["env", *environment, str(helm), *arguments], timeout=600)

            source.add_chart(version, charts, run_helm)
            run_helm(["repo", "index", str(charts)])
            values = yaml.safe_load(run_helm(["show", "values", str(charts / f"gpu-operator-{version}.tgz")]))
        for reference in images_of(values, version):
            _copy(mirror, source, reference)


def images_of(values: dict[str, Any], version: str) -> list[str]:
    """The references in the values of the operator's chart. What has no version of its own has the operator's."""
    found = []
    for part in (values.get(name) or {} for name in _PARTS):
        image = part.get("image")
        if isinstance(image, dict):  # node-feature-discovery's chart has another form
            found.append(f"{image['repository']}:{image['tag']}")
        elif image:
            found.append(f"{part['repository']}/{image}:{part.get('version') or version}")
    return list(dict.fromkeys(found))


def _copy(mirror: Path, source: Source, reference: str) -> None:
    name, tag = registry.name_of(reference)
    repository = mirror / "v2" / name
    content = source.manifest(name, tag)
    for described in json.loads(content).get("manifests", ()):  # one for each platform
        platform = described.get("platform", {})
        if (platform.get("os"), platform.get("architecture")) == ("linux", "amd64"):
            content = _held_to(described["digest"], source.manifest(name, described["digest"]))
    document = json.loads(content)
    if "config" not in document:
        raise SandboxError(f"{reference}: nothing in it is for linux on amd64")
    for described in (document["config"], *document["layers"]):
        digest = described["digest"]
        place = repository / "blobs" / digest
        if not place.exists():
            registry.place(place, _held_to(digest, source.blob(name, digest)))
    for known_as in (registry.digest(content), tag):
        registry.place(repository / "manifests" / known_as, content)


def _held_to(digest: str, content: bytes) -> bytes:
    if registry.digest(content) != digest:
        raise SandboxError(f"what came for {digest} is something else")
    return content
