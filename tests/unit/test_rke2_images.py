"""The images that RKE2's stand-in fetches when a release first starts on a machine."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

import oci_archive
from sandbox.mirror import registry
from sandbox.rke2.node import image_archives, images, paths, release
from sandbox.rke2.node.error import Rke2Error

OF_AN_AGENT = {"rke2-runtime", "hardened-kubernetes", "mirrored-calico-cni", "mirrored-calico-node"}
OF_A_SERVER = OF_AN_AGENT | {
    "hardened-etcd",
    "hardened-coredns",
    "klipper-helm",
    "mirrored-calico-kube-controllers",
    "mirrored-calico-operator",
    "mirrored-calico-typha",
}


class _Registry(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that a machine has asked its mirror for, which has the images of v1.36.4+rke2r1."""
    for image in images.of("v1.36.4+rke2r1"):
        registry.publish_name(tmp_path / "tree", f"docker.io/{image}")
    handler = type("Handler", (_Registry,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path / "tree")) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        (tmp_path / "registries.yaml").write_text(yaml.safe_dump({"mirrors": {"*": {"endpoint": [endpoint]}}}))
        monkeypatch.setattr(paths, "REGISTRIES", tmp_path / "registries.yaml")
        monkeypatch.setattr(paths, "AGENT", tmp_path / "agent")
        monkeypatch.setattr(release, "version", lambda: "v1.36.4+rke2r1")
        yield handler.asked
        server.shutdown()
        thread.join()


def fetched(asked: list[str]) -> set[str]:
    """The images of which a manifest was asked for."""
    return {path.split("/")[3] for path in asked if path.endswith("/manifests/v1.36.4-rke2r1")}


@pytest.mark.parametrize(("is_server", "expected"), [(True, OF_A_SERVER), (False, OF_AN_AGENT)])
def test_a_server_fetches_ten_images_and_an_agent_four_with_all_their_blobs(
    asked: list[str], is_server: bool, expected: set[str]
) -> None:
    images.fetch(is_server=is_server, registry=None)
    assert fetched(asked) == expected
    assert len([path for path in asked if "/blobs/" in path]) == 2 * len(expected)


def test_the_runtime_image_has_come_before_another_one_is_asked_for(asked: list[str]) -> None:
    """It holds the programs that fetch the others."""
    images.fetch(is_server=True, registry=None)
    assert {path.split("/")[3] for path in asked[:3]} == {"rke2-runtime"}


def test_a_release_fetches_its_images_once_and_another_one_its_own(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images.fetch(is_server=True, registry=None)
    asked.clear()
    images.fetch(is_server=True, registry=None)
    assert asked == []
    monkeypatch.setattr(release, "version", lambda: "v1.37.1+rke2r1")
    with pytest.raises(Rke2Error, match=r"failed to fetch the image rancher/rke2-runtime:v1\.37\.1-rke2r1 from http"):
        images.fetch(is_server=True, registry=None)


def test_what_an_archive_brings_is_not_fetched(asked: list[str], tmp_path: Path) -> None:
    brought = [f"docker.io/{image}" for image in images.of("v1.36.4+rke2r1") if "runtime" in image or "etcd" in image]
    (paths.AGENT / "images").mkdir(parents=True)
    oci_archive.write(paths.AGENT / "images/rke2-images.tar.gz", tmp_path / "tree", *brought)
    images.fetch(is_server=True, registry=None)
    assert fetched(asked) == OF_A_SERVER - {"rke2-runtime", "hardened-etcd"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "images.tar.zst",
            b"",
            r"images\.tar\.zst: of archives of images only \.tar, \.tar\.gz, \.tgz are stood in for",
        ),
        ("images.tar", b"no archive", r"images\.tar: no OCI archive of images"),
    ],
)
def test_an_archive_that_cannot_be_read_is_told(asked: list[str], name: str, content: bytes, said: str) -> None:
    (paths.AGENT / "images").mkdir(parents=True)
    (paths.AGENT / "images" / name).write_bytes(content)
    with pytest.raises(Rke2Error, match=said):
        images.fetch(is_server=True, registry=None)
    assert asked == []


def test_a_machine_without_a_mirror_is_told_where_one_is_named(asked: list[str]) -> None:
    paths.REGISTRIES.unlink()
    with pytest.raises(Rke2Error, match=r"registries\.yaml has no mirror for docker\.io"):
        images.fetch(is_server=True, registry=None)
    assert asked == []


def test_another_registry_of_the_system_images_is_asked_by_its_own_mirror(asked: list[str]) -> None:
    mirrors = yaml.safe_load(paths.REGISTRIES.read_text())["mirrors"]
    paths.REGISTRIES.write_text(yaml.safe_dump({"mirrors": {"registry.example.org:5000": mirrors["*"]}}))
    with pytest.raises(Rke2Error, match=r"registries\.yaml has no mirror for registry\.example\.org:"):
        images.fetch(is_server=True, registry="registry.example.org")
    assert asked == []
    images.fetch(is_server=True, registry="registry.example.org:5000")
    assert fetched(asked) == OF_A_SERVER


def test_an_archives_images_get_a_name_of_the_registry_that_rke2_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "AGENT", tmp_path / "agent")
    monkeypatch.setattr(paths, "PROGRAMS", tmp_path)
    (tmp_path / "agent/images").mkdir(parents=True)
    (tmp_path / "ctr").write_text(f'#!/bin/sh\nshift 2\necho "$*" >> {tmp_path}/called\n')
    (tmp_path / "ctr").chmod(0o755)
    archive = tmp_path / "agent/images/pause.tar"
    pause, other = "docker.io/rancher/mirrored-pause:3.6", "nvcr.io/nvidia/gpu-operator:v26.3.3"
    for image in (pause, other):
        registry.publish_name(tmp_path / "tree", image)
    oci_archive.write(archive, tmp_path / "tree", pause, other)
    image_archives.load("registry.example.org")
    assert (tmp_path / "called").read_text().splitlines() == [
        "version",
        f"--namespace k8s.io images import {archive}",
        f"--namespace k8s.io images tag --force {pause} registry.example.org/rancher/mirrored-pause:3.6",
    ]
