"""The mirror answers as a file server and a container registry do, only inside the sandbox's network."""

import gzip
import hashlib
import http.client
import io
import json
import signal
import tarfile
from pathlib import Path

import pytest

from sandbox.error import SandboxError
from sandbox.mirror import registry
from sandbox.mirror.server import Mirror
from sandbox.process import ProcessId

needs_root = pytest.mark.sandbox
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def ask(mirror: Mirror, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(mirror.sandbox.mirror_address, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    registry.publish(
        tmp_path,
        "nvcr.io/nvidia/gpu-operator:v26.7.0",
        {"/usr/bin/gpu-operator": (b"program", 0o755), "/licenses/LICENSE": (b"words", 0o644)},
        entrypoint=["/usr/bin/gpu-operator"],
        env={"NAME": "value"},
        user="65534",
        labels={"kind": "stand-in"},
    )
    return tmp_path / "v2/nvidia/gpu-operator"


def test_every_blob_of_an_image_is_found_under_its_own_digest(published: Path) -> None:
    manifest = json.loads((published / "manifests/v26.7.0").read_bytes())
    parts = [manifest["config"], *manifest["layers"]]
    assert manifest["mediaType"] == MANIFEST
    for part in parts:
        content = (published / "blobs" / part["digest"]).read_bytes()
        assert sha256(content) == part["digest"]
        assert len(content) == part["size"]


def test_the_layers_unpack_to_what_the_configuration_says(published: Path) -> None:
    manifest = json.loads((published / "manifests/v26.7.0").read_bytes())
    config = json.loads((published / "blobs" / manifest["config"]["digest"]).read_bytes())
    unpacked = [gzip.decompress((published / "blobs" / layer["digest"]).read_bytes()) for layer in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [sha256(layer) for layer in unpacked]
    assert config["config"]["Entrypoint"] == ["/usr/bin/gpu-operator"]
    assert config["config"]["Env"] == ["PATH=/usr/bin:/bin", "NAME=value"]
    assert config["config"]["User"] == "65534"
    assert config["config"]["Labels"] == {"kind": "stand-in"}
    with tarfile.open(fileobj=io.BytesIO(unpacked[0])) as base, tarfile.open(fileobj=io.BytesIO(unpacked[1])) as own:
        assert base.getmember("bin/sh").linkname == "busybox"
        assert base.getmember("tmp").mode == 0o1777
        assert own.getmember("usr/bin/gpu-operator").mode == 0o755
        program = own.extractfile("usr/bin/gpu-operator")
        assert program is not None
        assert program.read() == b"program"


def test_the_same_files_make_the_same_image(tmp_path: Path) -> None:
    files = {"/b": (b"2", 0o644), "/a": (b"1", 0o644)}
    first = registry.publish(tmp_path / "1", "example.com/image:1", files)
    assert registry.publish(tmp_path / "2", "example.com/image:1", dict(reversed(files.items()))) == first


def test_images_with_the_same_files_are_two_images_that_share_all_but_their_names(tmp_path: Path) -> None:
    """A client fetches what it has already no second time, and the world's images are as different as they are."""
    layers = []
    for name in ("gpu-operator", "k8s-device-plugin"):
        registry.publish(tmp_path, f"nvcr.io/nvidia/{name}:1", {"/usr/bin/program": (b"program", 0o755)})
        layers.append(json.loads((tmp_path / f"v2/nvidia/{name}/manifests/1").read_bytes())["layers"])
    assert layers[0][:-1] == layers[1][:-1]
    assert layers[0][-1]["digest"] != layers[1][-1]["digest"]


@pytest.mark.parametrize("reference", ["busybox", "busybox:1", "library/busybox:1", "nvcr.io/nvidia/cuda"])
def test_an_image_reference_without_registry_or_tag_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(SandboxError, match=r"expected registry\.example/name:tag"):
        registry.publish(tmp_path, reference, {})


@needs_root
def test_a_manifest_is_served_with_its_type_and_digest_by_tag_and_by_digest(mirror: Mirror) -> None:
    digest = registry.publish(mirror.root, "nvcr.io/nvidia/tool:1", {"/tool": (b"x", 0o755)})
    for name in ("1", digest):
        status, headers, body = ask(mirror, f"/v2/nvidia/tool/manifests/{name}?ns=nvcr.io")
        assert (status, headers["Content-Type"], headers["Docker-Content-Digest"]) == (200, MANIFEST, digest)
        assert sha256(body) == digest
        status, headers, nobody = ask(mirror, f"/v2/nvidia/tool/manifests/{name}?ns=nvcr.io", "HEAD")
        assert (status, headers["Content-Length"], nobody) == (200, str(len(body)), b"")


@needs_root
def test_the_registry_says_that_it_is_one(mirror: Mirror) -> None:
    assert ask(mirror, "/v2/")[0] == 200


@needs_root
@pytest.mark.parametrize("path", ["/", "/v2/nvidia/absent/manifests/1", "/../pid", "/%2e%2e/pid", "/v2/../../pid"])
def test_what_is_not_in_the_tree_is_not_found(mirror: Mirror, path: str) -> None:
    assert ask(mirror, path)[0] == 404


@needs_root
def test_a_file_put_there_later_is_served_and_written_down(mirror: Mirror) -> None:
    (mirror.root / "rke2").mkdir(exist_ok=True)
    (mirror.root / "rke2/notes.txt").write_text("of a release\n")
    assert ask(mirror, "/rke2/notes.txt")[2] == b"of a release\n"
    assert mirror.access_log.read_text().splitlines()[-1] == "200 GET /rke2/notes.txt"


@needs_root
def test_the_mirror_does_not_listen_on_any_address_of_the_host(mirror: Mirror) -> None:
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(mirror.sandbox.host_address, timeout=5).request("GET", "/")


@needs_root
def test_a_killed_mirror_is_noticed_and_started_again(mirror: Mirror) -> None:
    process = ProcessId.read(mirror.root.parent / "pid")
    assert process is not None
    process.send(signal.SIGKILL)
    assert process.wait(5)
    assert not mirror.running
    mirror.start()
    assert ask(mirror, "/v2/")[0] == 200
