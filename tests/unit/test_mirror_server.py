"""What the mirror's server answers, asked over the loopback interface: ranges, faults, and the time it takes."""

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox import distance
from sandbox.distance import Profile
from sandbox.mirror import registry, server

SLOW = Profile(name="slow", rate=100e6, latency=0.2)
"""RKE2's tarball, 40 MB in the world, takes 0.4 s."""
TARBALL = "/rke2/v1/rke2.linux-amd64.tar.gz"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Served:
    """A sandbox's folder, and the port at which its mirror's tree is served."""

    root: Path
    port: int

    @property
    def tree(self) -> Path:
        return self.root / "mirror/tree"

    def put(self, path: str, content: bytes) -> None:
        file = self.tree / path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_bytes(content)

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            began = time.monotonic()
            response = connection.getresponse()
            try:
                body = response.read()
            except http.client.IncompleteRead as cut:
                body = cut.partial
            return Answer(response.status, dict(response.getheaders()), body, time.monotonic() - began)
        finally:
            connection.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    (tmp_path / "mirror/tree").mkdir(parents=True)
    (tmp_path / "faults").mkdir()
    places = {"tree": tmp_path / "mirror/tree", "faults": tmp_path / "faults/mirror.json", "sandbox": tmp_path}
    handler = type("Handler", (server._Handler,), places)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as mirror:
        thread = threading.Thread(target=mirror.serve_forever, args=(0.01,))
        thread.start()
        yield Served(tmp_path, mirror.server_address[1])
        mirror.shutdown()
        thread.join()


@pytest.fixture
def tarball(served: Served) -> Served:
    served.put(TARBALL, b"0123456789")
    return served


def test_a_file_is_served_whole_and_says_that_parts_of_it_can_be_had(tarball: Served) -> None:
    answer = tarball.ask(TARBALL)
    assert (answer.status, answer.body, answer.headers["Accept-Ranges"]) == (200, b"0123456789", "bytes")


def test_a_download_is_resumed_where_it_ended(tarball: Served) -> None:
    answer = tarball.ask(TARBALL, Range="bytes=4-")
    assert (answer.status, answer.body) == (206, b"456789")
    assert (answer.headers["Content-Range"], answer.headers["Content-Length"]) == ("bytes 4-9/10", "6")


def test_who_has_all_of_a_file_is_told_that_there_is_no_more(tarball: Served) -> None:
    answer = tarball.ask(TARBALL, Range="bytes=10-")
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (416, b"", "bytes */10")


@pytest.mark.parametrize("headers", [{"Range": "bytes=4-", "If_Range": "Sat, 28 Nov 2026 00:00:00 GMT"}, {}])
def test_a_range_of_another_version_of_a_file_is_not_asked_for(tarball: Served, headers: dict[str, str]) -> None:
    assert tarball.ask(TARBALL, **headers).status == 200


def test_the_size_of_a_file_is_told_without_its_body_whatever_range_is_asked_for(tarball: Served) -> None:
    answer = tarball.ask(TARBALL, "HEAD", Range="bytes=4-")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "10", b"")


def fault(served: Served, what: str) -> None:
    (served.root / "faults/mirror.json").write_text(json.dumps({"/rke2/*": what}))


def test_a_download_that_is_cut_never_gets_beyond_the_middle_of_the_file(tarball: Served) -> None:
    fault(tarball, "cut")
    assert tarball.ask(TARBALL).body == b"01234"
    assert tarball.ask(TARBALL, Range="bytes=3-").body == b"34"
    assert tarball.ask(TARBALL, Range="bytes=5-").body == b""


def test_a_damaged_file_has_another_first_byte_and_is_right_from_there_on(tarball: Served) -> None:
    fault(tarball, "damage")
    assert tarball.ask(TARBALL).body == b"1123456789"
    assert tarball.ask(TARBALL, Range="bytes=4-").body == b"456789"


def test_a_file_takes_the_time_of_the_real_one_and_an_answer_its_own(tarball: Served) -> None:
    distance.put(tarball.root, SLOW)
    assert 0.6 <= tarball.ask(TARBALL).seconds < 2
    assert 0.2 <= tarball.ask(TARBALL, "HEAD").seconds < 0.6
    assert 0.2 <= tarball.ask("/absent").seconds < 0.6


def test_a_part_of_a_file_takes_its_part_of_the_time(tarball: Served) -> None:
    distance.put(tarball.root, SLOW)
    assert 0.24 <= tarball.ask(TARBALL, Range="bytes=9-").seconds < 0.6


def test_a_profile_acts_at_once_and_is_gone_at_once(tarball: Served) -> None:
    distance.put(tarball.root, SLOW)
    assert tarball.ask(TARBALL).seconds >= 0.6
    distance.put(tarball.root, distance.NONE)
    assert tarball.ask(TARBALL).seconds < 0.6


def test_a_client_that_goes_away_leaves_no_traceback(tarball: Served, capfd: pytest.CaptureFixture[str]) -> None:
    tarball.put("/toolkit/gpgkey", bytes(10_000_000))
    distance.put(tarball.root, Profile(name="slow", rate=3e3))
    connection = http.client.HTTPConnection("127.0.0.1", tarball.port, timeout=10)
    connection.request("GET", "/toolkit/gpgkey")
    connection.getresponse().read(1)
    connection.close()
    time.sleep(0.5)
    assert "Traceback" not in capfd.readouterr().err


def test_an_image_has_all_its_size_in_one_blob_of_its_own(served: Served) -> None:
    """The GPU Operator's images hold the same program; a machine fetches what it has already no second time."""
    registry.publish(served.tree, "docker.io/rancher/mirrored-pause:3.6", {"/pause": (os.urandom(1_000_000), 0o755)})
    manifest = json.loads(served.ask("/v2/rancher/mirrored-pause/manifests/3.6").body)
    distance.put(served.root, Profile(name="slow", rate=500e3))
    blobs = [part["digest"] for part in (manifest["config"], *manifest["layers"])]
    seconds = [served.ask(f"/v2/rancher/mirrored-pause/blobs/{blob}").seconds for blob in blobs]
    assert max(seconds[:3]) < 0.5
    assert 0.5 <= seconds[3] < 1.5  # 253 kB


def test_an_image_that_was_not_made_here_has_the_bytes_that_it_has(served: Served) -> None:
    """NVIDIA's own, which GPU_OPERATOR_IMAGES brings."""
    layer = bytes(30_000_000)
    digest = registry.digest(layer)
    served.put(f"/v2/nvidia/gpu-operator/blobs/{digest}", layer)
    manifest = json.dumps({"config": {"digest": "sha256:0"}, "layers": [{"digest": digest}]}).encode()
    served.put(f"/v2/nvidia/gpu-operator/manifests/{registry.digest(manifest)}", manifest)
    distance.put(served.root, SLOW)
    assert 0.5 <= served.ask(f"/v2/nvidia/gpu-operator/blobs/{digest}").seconds < 2
