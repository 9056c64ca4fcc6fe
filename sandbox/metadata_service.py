"""Azure's metadata service (169.254.169.254) and the host's channel of its agent (168.63.129.16) for all machines.

Both answer whoever reaches them, as Azure's do; the first one refuses requests that a browser or a proxy would make.
"""

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

METADATA, CHANNEL = "169.254.169.254", "168.63.129.16"
_PORT = 80
_COMPUTE = {"azEnvironment": "AzurePublicCloud", "osType": "Linux", "provider": "Microsoft.Compute"}


def serve() -> None:
    """Serve in the background of this process, whose network has both addresses."""
    for address, handler in ((METADATA, _Metadata), (CHANNEL, _Channel)):
        server = ThreadingHTTPServer((address, _PORT), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


class _Answering(BaseHTTPRequestHandler):
    def answer(self, status: HTTPStatus, kind: str, content: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """The log is the mirror's, and tests count its lines."""


class _Metadata(_Answering):
    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        trouble = ""
        if self.headers.get("Metadata", "").lower() != "true" or "X-Forwarded-For" in self.headers:
            trouble = "Bad request. Required metadata header not specified"
        elif "api-version" not in parse_qs(asked.query):
            trouble = "Bad request. api-version was not specified in the request"
        if trouble:
            self.answer(HTTPStatus.BAD_REQUEST, "application/json", json.dumps({"error": trouble}))
        elif asked.path.rstrip("/") == "/metadata/instance":
            self.answer(HTTPStatus.OK, "application/json", json.dumps({"compute": _COMPUTE}))
        else:
            self.answer(HTTPStatus.NOT_FOUND, "application/json", json.dumps({"error": "Not found"}))


class _Channel(_Answering):
    def do_GET(self) -> None:
        versions = "<Versions><Supported><Version>2012-11-30</Version></Supported></Versions>"
        if urlsplit(self.path).query == "comp=versions":
            self.answer(HTTPStatus.OK, "text/xml", versions)
        else:
            self.answer(HTTPStatus.BAD_REQUEST, "text/xml", "<Error/>")
