"""A server's supervisor as a joining machine sees it."""

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from . import node_password, paths
from .configuration import Configuration
from .join_token import JoinToken
from .supervisor import PREFIX

_TIMEOUT = 20


class UpstreamError(Exception):
    """The server cannot be reached, is not who it should be, or refuses with HTTP's `status` and `answer`."""

    def __init__(self, text: str, status: int = 0, answer: str = "") -> None:
        super().__init__(text)
        self.status, self.answer = status, answer


@dataclass(frozen=True, slots=True)
class Upstream:
    """`url` such as https://10.60.0.4:9345; `user` is what this machine wants to become, server or node."""

    url: str
    user: str
    token: JoinToken
    authority: str
    """PEM of the cluster's authority."""

    @classmethod
    def find(cls, url: str, user: str, token: JoinToken) -> "Upstream":
        """The server, once the token's hash proves its authority, and the authority the server.

        Raises UpstreamError, and Rke2Error if it is another cluster's.
        """
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        authority = _exchange(f"{url}/cacerts", "GET", trusting)
        token.check(authority)
        found = cls(url, user, token, authority.decode())
        _exchange(f"{url}/cacerts", "GET", found._context())
        return found

    def get(self, what: str) -> Any:  # noqa: ANN401 - what JSON holds
        """The decoded answer. Raises UpstreamError."""
        return json.loads(self._ask("GET", what))

    def put(self, what: str, body: object) -> bytes:
        """The answer. Raises UpstreamError."""
        return self._ask("PUT", what, json.dumps(body).encode())

    def get_as(self, configuration: Configuration, what: str) -> Any:  # noqa: ANN401
        """As `get`, with this machine's name and node password."""
        return json.loads(self._ask("GET", what, node=configuration))

    def sign(self, configuration: Configuration, what: str, request: bytes) -> bytes:
        """The certificate, PEM, for this machine's signing request. Raises UpstreamError."""
        return self._ask("POST", what, request, configuration)

    def _ask(self, method: str, what: str, body: bytes = b"", node: Configuration | None = None) -> bytes:
        credentials = base64.b64encode(f"{self.user}:{self.token.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        if node is not None:
            headers |= {
                "Rke2-Node-Name": node.node_name,
                "Rke2-Node-Ip": node.node_ip,
                "Rke2-Node-Password": node_password.own(),
            }
        return _exchange(f"{self.url}{PREFIX}/{what}", method, self._context(), headers, body)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority)


def _exchange(
    url: str, method: str, context: ssl.SSLContext, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    place = urlsplit(url)
    connection = http.client.HTTPSConnection(place.hostname or "", place.port, timeout=_TIMEOUT, context=context)
    try:
        connection.request(method, place.path, body or None, headers or {})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise UpstreamError(f'{method} "{url}": {error}') from None
    finally:
        connection.close()
    if response.status == 401:
        text = f"{url}: 401 Unauthorized: the token is not this cluster's; a server has it in {paths.NODE_TOKEN}"
        raise UpstreamError(text, 401)
    if response.status >= 400:
        text = answer.decode(errors="replace")
        raise UpstreamError(f"{url}: {response.status} {text}", response.status, text)
    return answer
