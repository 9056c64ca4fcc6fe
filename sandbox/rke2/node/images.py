"""The images that RKE2 fetches when a release first starts on a machine.

RKE2 takes its programs out of the runtime image and runs the others as pods, so a machine waits for all of them. Here
the programs come in the tarball and the images hold nothing: they are fetched for the time that it takes.
"""

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml

from . import image_archives, paths, release
from .error import Rke2Error

_RUNTIME = "rancher/rke2-runtime"
_OF_ALL = ("rancher/hardened-kubernetes", "rancher/mirrored-calico-cni", "rancher/mirrored-calico-node")
_OF_SERVERS = (
    "rancher/hardened-etcd",
    "rancher/hardened-coredns",
    "rancher/klipper-helm",
    "rancher/mirrored-calico-kube-controllers",
    "rancher/mirrored-calico-operator",
    "rancher/mirrored-calico-typha",
)
_SECONDS = 60


def of(version: str) -> list[str]:
    """All of a release of RKE2, name:tag. The tags are ours: in the world each part has a version of its own."""
    return [f"{name}:{version.replace('+', '-')}" for name in (_RUNTIME, *_OF_ALL, *_OF_SERVERS)]


def fetch(*, is_server: bool, registry: str | None) -> None:
    """Fetch the images that this release does not have already and no archive brings.

    `registry` is the one of `system-default-registry`; None: Docker Hub. Raises Rke2Error; systemd starts RKE2 again
    then.
    """
    noted = paths.AGENT / "images" / f"{release.version()}.txt"
    if noted.exists():
        return
    endpoint = _endpoint(registry or image_archives.DOCKER_HUB)
    runtime, *others = of(release.version())
    wanted = others if is_server else others[: len(_OF_ALL)]
    brought = image_archives.names()

    def bring(image: str) -> None:
        if f"{image_archives.DOCKER_HUB}/{image}" not in brought:
            _fetch(endpoint, image)

    bring(runtime)
    with ThreadPoolExecutor(len(wanted)) as workers:  # the kubelet too pulls the images of all pods at once
        list(workers.map(bring, wanted))
    paths.write(noted, "".join(f"{image}\n" for image in (runtime, *wanted)))


def _endpoint(registry: str) -> str:
    """The mirror of a registry in registries.yaml, whose form containerd's configuration has looked at."""
    content: Any = yaml.safe_load(paths.REGISTRIES.read_text()) if paths.REGISTRIES.exists() else None
    mirrors = (content or {}).get("mirrors") or {}
    for name in (registry, "*"):
        if name in mirrors:
            return str(mirrors[name]["endpoint"][0])
    raise Rke2Error(
        f"{paths.REGISTRIES} has no mirror for {registry}: a machine of the sandbox has no way to another one"
    )


def _fetch(endpoint: str, image: str) -> None:
    name, _, tag = image.rpartition(":")
    try:
        manifest = json.loads(b"".join(_read(f"{endpoint}/v2/{name}/manifests/{tag}")))
        for part in (manifest["config"], *manifest["layers"]):
            for _ in _read(f"{endpoint}/v2/{name}/blobs/{part['digest']}"):
                pass
    except OSError as error:
        raise Rke2Error(f"failed to fetch the image {image} from {endpoint}: {error}") from None


def _read(url: str) -> Iterator[bytes]:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - registries.yaml is root's
        while chunk := answer.read(65536):
            yield chunk
