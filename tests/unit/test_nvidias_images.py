"""NVIDIA's chart and images come from a folder or a registry into the mirror's tree. The images here are made up."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox.error import SandboxError
from sandbox.gpu_operator import nvidias
from sandbox.gpu_operator.upstream import Registry

VERSION = "v26.7.0"
REFERENCE = f"nvcr.io/nvidia/gpu-operator:{VERSION}"
VALUES = {"operator": {"repository": "nvcr.io/nvidia", "image": "gpu-operator"}, "driver": {"image": "driver"}}
HELM = """#!/bin/sh
case $1 in
    pull)
        echo "$@" >"$(dirname "$0")/pulled"
        while [ "$1" != --destination ]; do shift; done
        touch "$2/gpu-operator-v26.7.0.tgz" ;;
    repo) touch "$3/index.yaml" ;;
    show) cat "$(dirname "$0")/values" ;;
esac
"""


def named(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes, **more: object) -> dict[str, object]:
    return {"digest": named(content), "size": len(content), **more}


CONFIG, LAYER = b'{"architecture": "amd64"}', b"a layer"
MANIFEST = json.dumps({"schemaVersion": 2, "config": described(CONFIG), "layers": [described(LAYER)]}).encode()
OF_ARM = json.dumps({"schemaVersion": 2, "config": described(b"{}"), "layers": []}).encode()
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "manifests": [
            described(OF_ARM, platform={"os": "linux", "architecture": "arm64"}),
            described(MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
        ],
    }
).encode()


@pytest.fixture
def helm(tmp_path: Path) -> Path:
    program = tmp_path / "helm/helm"
    program.parent.mkdir()
    program.write_text(HELM)
    program.chmod(0o755)
    (program.parent / "values").write_text(json.dumps(VALUES))
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "nvidias"
    layout = made / "images/all"
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    for content in (CONFIG, LAYER, MANIFEST, OF_ARM, INDEX):
        (layout / "blobs/sha256" / named(content).partition(":")[2]).write_bytes(content)
    name = {"org.opencontainers.image.ref.name": REFERENCE}
    (layout / "index.json").write_text(json.dumps({"manifests": [described(INDEX, annotations=name)]}))
    (made / "charts").mkdir()
    (made / f"charts/gpu-operator-{VERSION}.tgz").write_text("a chart")
    return made


class _Upstream(BaseHTTPRequestHandler):
    """A registry that gives its images to whoever has fetched a token before."""

    served: dict[str, bytes]
    token: str

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            said = json.dumps({"token": self.token}).encode()
            return self._say(200, said if "scope=repository" in self.path else b"{}")
        if self.headers.get("Authorization") != "Bearer for-everybody":
            realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
            challenge = f'Bearer realm="{realm}",service="registry",scope="repository:x:pull"'
            return self._say(401, b"", ("WWW-Authenticate", challenge))
        content = self.served.get(self.path)
        return self._say(404 if content is None else 200, content or b"")

    def _say(self, code: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(code)
        for name, value in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[tuple[str, type[_Upstream]]]:
    """Its address with a prefix, and what it serves."""
    at = "/v2/mirror/nvidia/gpu-operator"
    served = {f"{at}/manifests/{VERSION}": INDEX, f"{at}/manifests/{named(MANIFEST)}": MANIFEST}
    served |= {f"{at}/blobs/{named(content)}": content for content in (CONFIG, LAYER)}
    handler = type("Handler", (_Upstream,), {"served": served, "token": "for-everybody"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}/mirror", handler
        server.shutdown()
        thread.join()


def published(mirror: Path) -> dict[str, bytes]:
    return {str(path.relative_to(mirror)): path.read_bytes() for path in mirror.rglob("*") if path.is_file()}


IMAGE = {
    f"v2/nvidia/gpu-operator/manifests/{VERSION}": MANIFEST,
    f"v2/nvidia/gpu-operator/manifests/{named(MANIFEST)}": MANIFEST,
    f"v2/nvidia/gpu-operator/blobs/{named(CONFIG)}": CONFIG,
    f"v2/nvidia/gpu-operator/blobs/{named(LAYER)}": LAYER,
}


def test_a_folders_chart_and_the_images_it_names_take_the_place_of_ours(
    folder: Path, helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "charts").mkdir(parents=True)
    (mirror / "charts/gpu-operator-v26.3.2.tgz").write_text("ours")
    monkeypatch.setenv("GPU_OPERATOR_IMAGES", str(folder))
    source = nvidias.given()
    assert source is not None
    nvidias.refuse(source, VERSION)
    nvidias.publish(mirror, source, VERSION, helm)
    chart = {f"charts/gpu-operator-{VERSION}.tgz": b"a chart", "charts/index.yaml": b""}
    assert published(mirror) == IMAGE | chart


def test_a_registrys_images_are_fetched_with_a_token_that_everybody_gets(
    upstream: tuple[str, type[_Upstream]], helm: Path, tmp_path: Path
) -> None:
    address, _ = upstream
    nvidias.publish(tmp_path / "mirror", Registry(address), VERSION, helm)
    assert IMAGE.items() <= published(tmp_path / "mirror").items()
    pulled = (helm.parent / "pulled").read_text()
    assert pulled.startswith(f"pull oci://{address}/gpu-operator --version {VERSION} --destination ")
    assert pulled.endswith(" --plain-http\n")


def test_a_registry_that_wants_an_account_is_refused(
    upstream: tuple[str, type[_Upstream]], helm: Path, tmp_path: Path
) -> None:
    address, handler = upstream
    handler.token = "for-nobody"
    with pytest.raises(SandboxError, match="401 Unauthorized, with a token that anybody gets"):
        nvidias.publish(tmp_path / "mirror", Registry(address), VERSION, helm)


def test_a_layer_that_is_not_what_its_manifest_says_is_refused(
    upstream: tuple[str, type[_Upstream]], helm: Path, tmp_path: Path
) -> None:
    address, handler = upstream
    handler.served[f"/v2/mirror/nvidia/gpu-operator/blobs/{named(LAYER)}"] = b"another layer"
    with pytest.raises(SandboxError, match=f"what came for {named(LAYER)} is something else"):
        nvidias.publish(tmp_path / "mirror", Registry(address), VERSION, helm)
    assert not list((tmp_path / "mirror").glob("v2/nvidia/gpu-operator/manifests/*"))


def test_all_that_a_folder_lacks_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_OPERATOR_IMAGES", str(tmp_path))
    source = nvidias.given()
    assert source is not None
    with pytest.raises(SandboxError) as refused:
        nvidias.refuse(source, VERSION)
    assert str(refused.value) == (
        f"GPU_OPERATOR_IMAGES: {tmp_path}/charts/gpu-operator-{VERSION}.tgz is missing: `helm pull` writes it; "
        f"{tmp_path}/images holds no OCI image layout (a folder with a file oci-layout)"
    )


@pytest.mark.parametrize(("said", "means"), [("", None), ("registry.example/x", Registry("registry.example/x"))])
def test_without_a_value_ours_are_used_and_a_value_that_is_not_a_folder_is_a_registry(
    said: str, means: Registry | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_OPERATOR_IMAGES", said)
    assert nvidias.given() == means


def test_a_path_that_is_not_there_is_not_taken_for_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_OPERATOR_IMAGES", "./nowhere")
    with pytest.raises(SandboxError, match=r"GPU_OPERATOR_IMAGES=\./nowhere: there is no such folder"):
        nvidias.given()


def test_an_image_without_a_version_of_its_own_has_the_operators_and_a_subchart_another_form() -> None:
    values: dict[str, Any] = {
        "operator": {"repository": "nvcr.io/nvidia", "image": "gpu-operator"},
        "validator": {"repository": "nvcr.io/nvidia", "image": "gpu-operator"},
        "devicePlugin": {"repository": "nvcr.io/nvidia", "image": "k8s-device-plugin", "version": "v0.20.0"},
        "driver": {"repository": "nvcr.io/nvidia", "image": "driver", "version": "580.159.04"},
        "node-feature-discovery": {"image": {"repository": "registry.k8s.io/nfd/nfd", "tag": "v0.18.3"}},
    }
    assert nvidias.images_of(values, VERSION) == [
        "nvcr.io/nvidia/gpu-operator:v26.7.0",
        "nvcr.io/nvidia/k8s-device-plugin:v0.20.0",
        "registry.k8s.io/nfd/nfd:v0.18.3",
    ]
