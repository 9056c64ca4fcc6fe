"""kubectl on a node, with one policy: what may be asked twice is asked again while the API server is away, a refusal
never.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine.host.console import one_line
from machine.host.errors import NodeError
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine

PROGRAM = "/var/lib/rancher/rke2/bin/kubectl"
KUBECONFIGS = ("/etc/rancher/rke2/rke2.yaml", "/var/lib/rancher/rke2/agent/kubelet.kubeconfig")
"""The administrator's on a server; on an agent the kubelet's, which may read and label its own node."""
AWAY_SECONDS = 60
"""How long an API server that was just started, or restarted, is asked again."""
_REQUEST_SECONDS = 30
_UNCHECKED = "--validate=false"
"""What this package writes is checked where it is tested. For kubectl's check the API server makes, and kubectl reads,
the schema of all that there is: twice as long as a request, and half a minute on a slow host.
"""
_PORT = 6443
_SERVER_NAME = "kubernetes"
"""A name that the certificate of every API server has, whatever its addresses are."""
_AWAY = re.compile(
    r"connection refused|was refused|connection reset|i/o timeout|TLS handshake timeout|no route to host|EOF"
    r"|ServiceUnavailable|service unavailable|etcdserver: |context deadline exceeded|Client\.Timeout|InternalError"
    r"|Unable to connect to the server|did not end within"
)
"""What kubectl says when nobody answers, or somebody who is not ready; an answer of the API names a reason."""

_REASON = re.compile(r"Error from server \((\w+)\)")
_LOG = re.compile(r"^[IWEF]\d{4} .*\n?", re.MULTILINE)
"""A line of kubectl's own log, which `-v=8` adds."""


class RefusedError(NodeError):
    """The API server answered and refused. `reason` is its own word, such as NotFound or Forbidden; `said` all that
    kubectl said, its log included.
    """

    def __init__(self, text: str, reason: str, said: str) -> None:
        super().__init__(text)
        self.reason, self.said = reason, said


class AwayError(NodeError):
    """The API server does not answer."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl of this machine. `away_seconds`: how long what may be asked twice outlasts an API server that is away.

    `address`: of the server that is asked, where that is not the one that the kubeconfig names.
    """

    machine: ThisMachine
    kubeconfig: Path
    away_seconds: float = AWAY_SECONDS
    address: str = ""

    @classmethod
    def here(cls, machine: ThisMachine, *, away_seconds: float = AWAY_SECONDS) -> "Kubectl | None":
        """kubectl with the first kubeconfig that is there; None before RKE2 has made one."""
        found = next((path for path in map(machine.path, KUBECONFIGS) if path.exists()), None)
        return None if found is None else cls(machine, found, away_seconds)

    def get(self, *what: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get` lists. Raises RefusedError, and AwayError after `away_seconds`."""
        return list(json.loads(self.read("get", *what, "-o", "json"))["items"])

    def read(self, *arguments: str) -> str:
        """The answer to a question, which may be asked twice. Raises as `get`."""
        return self.repeat(*arguments)

    def repeat(self, *arguments: str, stdin: str = "", away_seconds: float | None = None, seconds: float = 60) -> str:
        """What kubectl prints, of a question or of a change that may be made twice. Raises as `get`."""
        away_seconds = self.away_seconds if away_seconds is None else away_seconds
        return self._outlast(away_seconds, lambda _: self.change(*arguments, stdin=stdin, seconds=seconds))

    def create(self, objects: Sequence[Mapping[str, Any]], *arguments: str) -> None:
        """Create objects, asked again while the API server is away. Raises RefusedError, and AwayError after 60 s.

        What is there already was made by somebody else at the first asking; later by an asking whose answer was lost.
        """
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})

        def ask(is_again: bool) -> str:
            try:
                return self.change("create", *arguments, _UNCHECKED, "-f", "-", stdin=body)
            except RefusedError as error:
                if not is_again or set(_REASON.findall(error.said)) != {"AlreadyExists"}:
                    raise
                return ""

        self._outlast(AWAY_SECONDS, ask)

    def _outlast(self, seconds: float, ask: Callable[[bool], str]) -> str:
        """The answer, asked for again as long as the API server is away. `ask` is told whether it was asked before."""
        clock = self.machine.clock
        deadline, is_again = clock.monotonic() + seconds, False
        while True:
            try:
                return ask(is_again)
            except AwayError:
                if clock.monotonic() > deadline:
                    raise
                is_again = True
                clock.sleep(1)

    def change(self, *arguments: str, stdin: str = "", seconds: float = 60) -> str:
        """What kubectl prints, asked once. Raises RefusedError or AwayError with what it said."""
        ended = self._run(*arguments, stdin=stdin, seconds=seconds)
        if ended.succeeded:
            return ended.stdout
        said = _LOG.sub("", ended.stderr) or ended.stdout
        words = f"kubectl {' '.join(arguments[:3])}: {one_line(said)}"
        if reason := _REASON.search(ended.stderr):
            if reason[1] not in ("ServiceUnavailable", "InternalError", "Timeout", "ServerTimeout"):
                raise RefusedError(words, reason[1], ended.stderr)
            raise AwayError(words)
        if _AWAY.search(said):
            raise AwayError(words)
        raise RefusedError(words, "", ended.stderr)

    def _run(self, *arguments: str, stdin: str, seconds: float) -> Ended:
        timeout = f"--request-timeout={_REQUEST_SECONDS}s"
        asked: tuple[str, ...] = ()
        if self.address:
            asked = (f"--server=https://{self.address}:{_PORT}", f"--tls-server-name={_SERVER_NAME}")
        command = (str(self.machine.path(PROGRAM)), "--kubeconfig", str(self.kubeconfig), timeout, *asked, *arguments)
        return self.machine.run(*command, stdin=stdin, seconds=seconds)
