"""RKE2's supervisor on port 9345: what a server gives to machines that join, over TLS, to who knows the token."""

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias

from . import bootstrap, certificates, etcd, node_password, release
from .api import Api, ApiError
from .certificates import SERVER
from .configuration import Configuration, is_node_name
from .error import Rke2Error
from .etcd import DuplicateError, EtcdError
from .node_password import RejectedError
from .users import Users

PORT = 9345
PREFIX = "/v1-rke2"
_LONGEST_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Request:
    """`what` is method and path."""

    what: str
    headers: Message
    body: bytes


_Routes: TypeAlias = dict[str, Callable[[_Request], bytes]]


class _RefusedError(Exception):
    """A request that gets no answer but this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Supervisor:
    """`before_another_server` is called before a member is added to etcd."""

    def __init__(self, configuration: Configuration, api: Api, before_another_server: Callable[[], None]) -> None:
        self._configuration, self._api = configuration, api
        self._before_another_server = before_another_server
        # Read once, as RKE2 does: a token that is rotated opens nothing, and the old one does, until the next start.
        self._users = Users.read()
        self._changing_members = threading.Lock()
        self._for_all: _Routes = {
            "GET /cacerts": lambda _: SERVER.certificate.read_bytes(),
            "GET /ping": lambda _: b"pong",
        }
        self._for_nodes: _Routes = {
            f"GET {PREFIX}/config": lambda _: json.dumps(cluster_settings(configuration)).encode(),
            f"GET {PREFIX}/apiservers": lambda _: json.dumps(api.servers()).encode(),
            f"POST {PREFIX}/client-kubelet.crt": self._sign_client,
            f"POST {PREFIX}/serving-kubelet.crt": self._sign_serving,
        }
        self._for_servers: _Routes = {
            f"GET {PREFIX}/server-bootstrap": self._bootstrap,
            f"PUT {PREFIX}/etcd-member": self._admit,
            f"PUT {PREFIX}/token": self._rotate_token,
        }

    def start(self, certificate: Path) -> None:
        """Serve in the background until the process ends."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server = ThreadingHTTPServer(("", PORT), type("_Handler", (_Handler,), {"supervisor": self}))
        # Not at once: a client that is slow to greet would keep all others waiting.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True, name="supervisor").start()

    def answer(self, request: _Request) -> tuple[int, bytes]:
        """Status and text."""
        try:
            if (route := self._for_all.get(request.what)) is None:
                user = self._user(request.headers)
                routes = self._for_nodes | self._for_servers if user == "server" else self._for_nodes
                if (route := routes.get(request.what)) is None:
                    raise _RefusedError(404, f"{request.what}: there is no such thing for {user}")
            return 200, route(request)
        except _RefusedError as refused:
            return refused.status, str(refused).encode()
        except RejectedError as rejected:
            return 403, str(rejected).encode()
        except DuplicateError as duplicate:
            return 409, str(duplicate).encode()
        except Rke2Error as error:
            return 500, str(error).encode()
        except (ApiError, EtcdError) as error:
            return 503, str(error).encode()

    def _user(self, headers: Message) -> str:
        """node or server, by the request's password. With an agent token, the server token is not valid for agents."""
        kind, _, encoded = headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            raise _RefusedError(401, "Unauthorized") from None
        if kind != "Basic" or self._users is None or not self._users.knows(user, password):
            raise _RefusedError(401, "Unauthorized")
        return user

    def _sign_client(self, request: _Request) -> bytes:
        return SERVER.answer(
            request.body, f"/O=system:nodes/CN=system:node:{self._node(request.headers)}", "clientAuth"
        )

    def _sign_serving(self, request: _Request) -> bytes:
        name, address = self._node(request.headers), _address(request.headers)
        names = certificates.alternative_names([name, "localhost", "127.0.0.1", address])
        return SERVER.answer(request.body, f"/CN={name}", "serverAuth", names)

    def _bootstrap(self, request: _Request) -> bytes:
        self._node(request.headers)
        return json.dumps(bootstrap.files()).encode()

    def _node(self, headers: Message) -> str:
        """The node's name, if the machine has the password that goes with it."""
        name, password = headers.get("Rke2-Node-Name", ""), headers.get("Rke2-Node-Password", "")
        if not is_node_name(name) or not password:
            raise _RefusedError(400, "Rke2-Node-Name and Rke2-Node-Password must be given")
        node_password.check(self._api, name, password)
        return str(name)

    def _rotate_token(self, request: _Request) -> bytes:
        with self._changing_members:
            bootstrap.rotate(self._configuration, str(json.loads(request.body)["newToken"]))
        return b""

    def _admit(self, request: _Request) -> bytes:
        wanted = json.loads(request.body)
        with self._changing_members:
            self._before_another_server()
            return json.dumps(etcd.admit(wanted["name"], wanted["peer"])).encode()


def cluster_settings(configuration: Configuration) -> dict[str, str]:
    """What has to be the same on all machines; `version` is this server's."""
    return {
        "version": release.version(),
        "cluster-cidr": str(configuration.cluster_cidr),
        "service-cidr": str(configuration.service_cidr),
        "cni": configuration.cni,
    }


def _address(headers: Message) -> str:
    try:
        return str(ipaddress.IPv4Address(headers.get("Rke2-Node-Ip", "")))
    except ValueError as error:
        raise _RefusedError(400, f"Rke2-Node-Ip: {error}") from None


class _Handler(BaseHTTPRequestHandler):
    supervisor: Supervisor
    timeout = 20
    server_version = "rke2"
    sys_version = ""

    def do_GET(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if 0 <= length <= _LONGEST_BODY else b""
            status, answer = self.supervisor.answer(_Request(f"{self.command} {self.path}", self.headers, body))
        except Exception as error:  # noqa: BLE001 - the client hears that it failed, and the journal why
            print(f"rke2: supervisor: {self.command} {self.path}: {error!r}", flush=True)
            status, answer = 500, b"Internal Server Error"
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Log nothing: the client that asked is told what is refused."""
