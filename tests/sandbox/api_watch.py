"""What the one address of a cluster tells while something happens: which nodes are out, how long it is silent."""

import base64
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from command_line import CommandLine

from sandbox.host import access

_ASK_SECONDS = 1
_ANSWER_SECONDS = 3


@dataclass(frozen=True)
class Api:
    """An API server as a kubeconfig names it. Asked without kubectl, which took a tenth of the machine to look on."""

    host: str
    port: int
    name: str
    """What its certificate is for; not its address where a load balancer leads to it."""
    trust: ssl.SSLContext

    @classmethod
    def of(cls, kubeconfig: Path) -> "Api":
        config = yaml.safe_load(kubeconfig.read_text())
        (cluster,), (user,) = ([each[kind] for each in config[f"{kind}s"]] for kind in ("cluster", "user"))
        server = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        trust = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as both:  # the library reads it from a file alone
            both.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            both.flush()
            trust.load_cert_chain(both.name)
        assert server.hostname is not None
        assert server.port is not None
        return cls(server.hostname, server.port, cluster.get("tls-server-name", server.hostname), trust)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body, by a connection of its own. Raises OSError or HTTPException."""
        connection = HTTPConnection(self.host, self.port)
        plain = socket.create_connection((self.host, self.port), timeout=_ANSWER_SECONDS)
        try:
            connection.sock = self.trust.wrap_socket(plain, server_hostname=self.name)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
            plain.close()


@dataclass
class ApiWatch:
    """What was seen. `out`: nodes that were cordoned, not Ready or gone, at each answer; `silent`: seconds."""

    api: Api
    known: set[str]
    out: list[frozenset[str]] = field(default_factory=list)
    silent: float = 0

    def most_out(self, nodes: set[str]) -> int:
        """How many of these were out together."""
        return max((len(each & nodes) for each in self.out), default=0)

    def ever_out(self) -> set[str]:
        """All that were out once."""
        return set().union(*self.out)

    def ask_until(self, done: threading.Event) -> None:
        """Ask again and again."""
        answered = time.monotonic()
        while not done.wait(_ASK_SECONDS):
            if (nodes := self._well()) is not None:
                self.out.append(frozenset(self.known - nodes))
                answered = time.monotonic()
            self.silent = max(self.silent, time.monotonic() - answered)

    def _well(self) -> set[str] | None:
        """The nodes that can take pods; None without an answer."""
        try:
            status, text = self.api.get("/api/v1/nodes")
        except (OSError, HTTPException):
            return None
        if status != HTTPStatus.OK:
            return None
        return {
            node["metadata"]["name"]
            for node in json.loads(text)["items"]
            if not node["spec"].get("unschedulable")
            and any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
        }


@contextmanager
def watched_by_api(person: CommandLine) -> Iterator[ApiWatch]:
    """Watch the nodes that there are now, in here."""
    known = {node["metadata"]["name"] for node in person.get("nodes")["items"]}
    watch = ApiWatch(Api.of(access.kubeconfig(person.root)), known)
    done = threading.Event()
    asking = threading.Thread(target=watch.ask_until, args=(done,))
    asking.start()
    try:
        yield watch
    finally:
        done.set()
        asking.join(timeout=30)
