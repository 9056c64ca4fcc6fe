"""What a stage downloads, by the real curl from real servers: https stays https, and http needs a checksum."""

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from install_stages import CLOUD_INIT

CONTENT = b"echo hello\n"


@dataclass(frozen=True)
class Web:
    """The same files over http and over https; /moved/NAME of both leads to NAME over http."""

    http: str
    https: str
    authority: Path


@contextmanager
def serving(certificate: Path | None, moved_to: list[str]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = self.path.startswith("/moved/")
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("Location", moved_to[0] + self.path.removeprefix("/moved"))
            self.send_header("Content-Length", "0" if moved else str(len(CONTENT)))
            self.end_headers()
            if not moved:
                self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    certificate = tmp_path_factory.mktemp("tls") / "web.crt"
    words = [
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    files = ["-keyout", str(certificate.with_suffix(".key")), "-out", str(certificate)]
    subprocess.run(["openssl", "req", *words, *files], check=True, capture_output=True)
    plain: list[str] = []
    with serving(None, plain) as http, serving(certificate, plain) as https:
        plain.append(f"http://localhost:{http}")
        yield Web(plain[0], f"https://localhost:{https}", certificate)


def download(web: Web, folder: Path, url: str, check: str = "") -> tuple[str, bytes | None]:
    """What was reported, and what has come."""
    (folder / "sleep").write_text("#!/bin/sh\n")  # between tries
    (folder / "sleep").chmod(0o755)
    library = CLOUD_INIT / "library"
    script = (
        f"source {library}/stage.sh; source {library}/download.sh; open_reports; "
        'download "$1" "$2" "$3" || fail "cannot download: $trouble"; finish "done"'
    )
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "CURL_CA_BUNDLE": str(web.authority), "no_proxy": "*"}
    target = folder / "came"
    command = ["bash", "-c", script, "stage", url, str(target), check]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout.splitlines()[-1], target.read_bytes() if target.exists() else None


def test_a_file_comes_over_https_and_over_http_with_a_checksum(web: Web, tmp_path: Path) -> None:
    assert download(web, tmp_path, f"{web.https}/file") == ("done", CONTENT)
    (tmp_path / "came").unlink()
    assert download(web, tmp_path, f"{web.http}/file", "0123abcd") == ("done", CONTENT)
    (tmp_path / "came").unlink()
    assert download(web, tmp_path, f"{web.http}/moved/file", "0123abcd") == ("done", CONTENT)


def test_http_without_a_checksum_is_refused_before_anything_is_asked(web: Web, tmp_path: Path) -> None:
    said, came = download(web, tmp_path, f"{web.http}/file")
    assert said == (
        f"failed {web.http}/file is plain http without a checksum: anybody on the way could change what comes. Nothing "
        "was downloaded; use https, or name its SHA-256 in the stack file"
    )
    assert came is None


@pytest.mark.parametrize("check", ["", "0123abcd"])
def test_https_that_leads_to_http_is_not_followed(web: Web, tmp_path: Path, check: str) -> None:
    said, came = download(web, tmp_path, f"{web.https}/moved/file", check)
    assert said.startswith("failed cannot download: curl: (1) ")
    assert came in (None, b"")
