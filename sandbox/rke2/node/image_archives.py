"""Archives of container images that RKE2 imports from its folder before the kubelet starts.

All of them at each start, unless `.cache.json` lies there: RKE2 notes in it what it has imported, by size and time of
change, and never makes it (k3s-io/k3s#12237). Those that come while it runs are imported by the next start here.
With `system-default-registry` each image of Docker Hub's gets a second name, of that registry (rancher/rke2#683).
"""

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import paths, service
from .error import Rke2Error

_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.lz4", ".tar.zst", ".tzst")
_STOOD_IN_FOR = (".tar", ".tar.gz", ".tgz")
_NAME = "io.containerd.image.name"
DOCKER_HUB = "docker.io"
_SECONDS = 120


def load(registry: str | None) -> None:
    """Import what is new. containerd has been started. Raises Rke2Error for a file that is not an archive of images.

    `registry`: the one of `system-default-registry`, if there is one.
    """
    cache = _folder() / ".cache.json"
    known = _noted(cache)
    states = {archive: [archive.stat().st_size, archive.stat().st_mtime_ns] for archive in _archives()}
    new = [archive for archive, state in states.items() if known.get(archive.name) != state]
    if new:  # the socket of the containerd before may still lie there, and refuses
        service.wait(lambda: _ctr("version").returncode == 0, "containerd answers", "containerd", _SECONDS)
    for archive in new:
        _import(archive)
        if registry:
            _name_again(archive, registry)
        known[archive.name] = states[archive]
    if cache.exists():
        cache.write_text(json.dumps(known))


def names() -> set[str]:
    """The images in the archives, such as docker.io/rancher/mirrored-pause:3.6. Raises Rke2Error."""
    return {name for archive in _archives() for name in _names(archive)}


def _folder() -> Path:
    return paths.AGENT / "images"


def _noted(cache: Path) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads(cache.read_text() or "{}")
    except (FileNotFoundError, ValueError):
        return {}
    return noted


def _archives() -> Iterator[Path]:
    for path in sorted(_folder().glob("*")) if _folder().is_dir() else ():
        if path.name.endswith(_SUFFIXES):
            if not path.name.endswith(_STOOD_IN_FOR):
                raise Rke2Error(f"{path}: of archives of images only {', '.join(_STOOD_IN_FOR)} are stood in for")
            yield path


def _names(archive: Path) -> Iterator[str]:
    try:
        with tarfile.open(archive) as tar:
            index = tar.extractfile("index.json")
            for manifest in json.loads(index.read())["manifests"] if index else ():
                yield manifest["annotations"][_NAME]
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise Rke2Error(f"{archive}: no OCI archive of images: {error}") from None


def _import(archive: Path) -> None:
    done = _ctr("--namespace", "k8s.io", "images", "import", str(archive))
    if done.returncode:
        raise Rke2Error(f"{archive} cannot be imported: {done.stderr.strip()}")
    print(f"imported the images of {archive}", flush=True)


def _name_again(archive: Path, registry: str) -> None:
    for name in _names(archive):
        of, _, rest = name.partition("/")
        if of == DOCKER_HUB:
            again = f"{registry}/{rest}"
            done = _ctr("--namespace", "k8s.io", "images", "tag", "--force", name, again)
            if done.returncode:
                raise Rke2Error(f"{archive}: {name} cannot be named {again}: {done.stderr.strip()}")


def _ctr(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(paths.PROGRAMS / "ctr"), "--address", str(paths.CONTAINERD_SOCKET), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
