"""The mirror: one static tree over http and https in the sandbox's own namespace: packages, RKE2, charts, images.

Its process serves Azure's metadata service as well, in the same namespace.

As a program, ``python -m sandbox.mirror.server READY_FD DIRECTORY ADDRESS``, it is the server process.
"""

import json
import os
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from sandbox import distance, metadata_service, network
from sandbox.distance import Profile
from sandbox.instance import Sandbox
from sandbox.mirror import certificate, downloads, registry, transfer
from sandbox.process import ProcessId, announce, detach

_PORT, _TLS_PORT = 80, 443
_ACCEPTS_RANGES = ("Accept-Ranges", "bytes")


@dataclass(frozen=True, slots=True)
class Mirror:
    sandbox: Sandbox

    @property
    def root(self) -> Path:
        """The tree that is served. Symbolic links may lead out of it, into the cache; changes are seen at once."""
        return self._directory / "tree"

    @property
    def access_log(self) -> Path:
        """One line for each request: status, method, path."""
        return self._directory / "access.log"

    @property
    def running(self) -> bool:
        """Whether it runs, and in the present network: a namespace that was made again is another one."""
        process = ProcessId.read(self._directory / "pid")
        return process is not None and process.pid in network.processes(self.sandbox.wire)

    def start(self) -> None:
        """Start the network and the mirror; returns when it answers. Does nothing if it runs. Raises SandboxError."""
        with self.sandbox.claim():
            network.up(self.sandbox)
        if self.running:
            return
        self._kill()
        self.root.mkdir(parents=True, exist_ok=True)
        certificate.make(self._directory, self.sandbox.mirror_address)
        detach(
            "sandbox.mirror.server",
            [str(self._directory), self.sandbox.mirror_address],
            log=self.access_log,
            wrapper=["nsenter", f"--net={network.path(self.sandbox.wire)}"],
        )

    def stop(self) -> None:
        """End the mirror. The sandbox's name and network are free then."""
        self._kill()
        self.sandbox.release()

    def _kill(self) -> None:
        process = ProcessId.read(self._directory / "pid")
        if process is not None:
            process.kill()

    @property
    def _directory(self) -> Path:
        return self.sandbox.root / "mirror"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tree: Path
    faults: Path
    """Rules of sandbox.fault_mirror: pattern of a path → "cut", "damage", or the tree that is served instead."""
    sandbox: Path
    """The sandbox's folder, which has its network profile."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        profile = distance.of(self.sandbox)
        time.sleep(profile.latency)
        parts = PurePosixPath(unquote(urlsplit(self.path).path)).parts[
            1:
        ]  # ?ns=… (containerd's registry) is not needed
        path = "/" + "/".join(parts)
        place, trouble = self._place(path)
        file = place.joinpath(*parts)
        if parts == ("v2",):  # a registry says that it is one
            self._head(HTTPStatus.OK, "application/json", 2)
            if body:
                self.wfile.write(b"{}")
        elif ".." in parts or not file.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
        elif len(parts) > 3 and parts[0] == "v2" and parts[-2] == "manifests":
            manifest = file.read_bytes()
            kind = json.loads(manifest).get("mediaType", "application/vnd.oci.image.manifest.v1+json")
            self._head(HTTPStatus.OK, kind, len(manifest), ("Docker-Content-Digest", registry.digest(manifest)))
            if body:
                self.wfile.write(manifest)
        else:
            self._send_file(path, file, trouble, profile, body=body)

    def _send_file(self, path: str, file: Path, trouble: str, profile: Profile, *, body: bool) -> None:
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            # Nothing here has a date or a tag that an If-Range could hold to: who asks with one gets the whole file.
            ranged = body and "If-Range" not in self.headers
            part = transfer.part(self.headers.get("Range"), size) if ranged else None
            if part is None:
                part = range(size)
                self._head(HTTPStatus.OK, "application/octet-stream", size, _ACCEPTS_RANGES)
            elif part:
                where = ("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}")
                self._head(HTTPStatus.PARTIAL_CONTENT, "application/octet-stream", len(part), where, _ACCEPTS_RANGES)
            else:
                where = ("Content-Range", f"bytes */{size}")
                self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "text/plain", 0, where)
            if not body or not part:
                return
            if trouble == "cut":
                part, self.close_connection = range(part.start, min(part.stop, size // 2)), True
            what, real = _real(path, file, size) if profile.far else (path, 0)
            seconds = profile.seconds(real * len(part) / size)
            content.seek(part.start)
            try:
                if trouble == "damage" and part.start == 0:
                    self.wfile.write(bytes([content.read(1)[0] ^ 1]))
                    part = part[1:]
                transfer.send(content, len(part), seconds, self.wfile.write)
                if seconds:
                    downloads.note(self.tree.parent, self.client_address[0], what, seconds)
            except (ConnectionError, ssl.SSLError):  # a client that went away needs no traceback
                self.close_connection = True

    def _place(self, path: str) -> tuple[Path, str]:
        """The tree that has the file at this path, and what happens on the way: "cut", "damage" or nothing."""
        if self.faults.exists():
            for pattern, what in json.loads(self.faults.read_text()).items():
                if fnmatchcase(path, pattern):
                    return (self.tree, what) if what in {"cut", "damage"} else (Path(what), "")
        return self.tree, ""

    def _head(self, status: HTTPStatus, kind: str, length: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(length)), *headers):
            self.send_header(name, value)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - as the base class has it
        print(code if isinstance(code, str) else int(code), self.command, self.path, flush=True)


def _real(path: str, file: Path, stored: int) -> tuple[str, int]:
    """What it is, and how many bytes it has in the world. Of an image one blob stands for all."""
    image = registry.stands_for(file) if path.startswith("/v2/") else None
    return image or path, 0 if image == "" else distance.real_size(image or path, stored)


def _serve(descriptor: int, directory: Path, address: str) -> None:
    _Handler.tree = directory / "tree"
    _Handler.faults = directory.parent / "faults/mirror.json"
    _Handler.sandbox = directory.parent
    with ThreadingHTTPServer((address, _PORT), _Handler) as server:
        metadata_service.serve()
        _serve_tls(directory, address)
        ProcessId.me().write(directory / "pid")
        announce(descriptor)
        server.serve_forever()


def _serve_tls(directory: Path, address: str) -> None:
    """The same over https, in the background."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.files(directory))
    server = ThreadingHTTPServer((address, _TLS_PORT), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
