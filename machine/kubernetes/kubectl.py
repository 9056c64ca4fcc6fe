"""kubectl on a node, with one policy: a read is asked again while the API server is away, a refusal never."""

import json
import re
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
_AWAY = re.compile(
    r"connection refused|was refused|connection reset|i/o timeout|TLS handshake timeout|no route to host|EOF"
    r"|ServiceUnavailable|service unavailable|etcdserver: |context deadline exceeded|Client\.Timeout|InternalError"
    r"|Unable to connect to the server|did not end within"
)
"""What kubectl says when nobody answers, or somebody who is not ready; an answer of the API names a reason."""


class RefusedError(NodeError):
    """The API server answered, and the answer is no. `reason` is its own word, such as NotFound or Forbidden."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class AwayError(NodeError):
    """The API server does not answer."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl of this machine. `away_seconds`: how long reads outlast an API server that is away."""

    machine: ThisMachine
    kubeconfig: Path
    away_seconds: float = AWAY_SECONDS

    @classmethod
    def here(cls, machine: ThisMachine, *, away_seconds: float = AWAY_SECONDS) -> "Kubectl | None":
        """With the first kubeconfig there is; None before RKE2 has made one."""
        found = next((path for path in map(machine.path, KUBECONFIGS) if path.exists()), None)
        return None if found is None else cls(machine, found, away_seconds)

    def get(self, *what: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get` lists. Raises RefusedError, and AwayError after `away_seconds`."""
        return list(json.loads(self.read("get", *what, "-o", "json"))["items"])

    def read(self, *arguments: str) -> str:
        """The answer to a question, which may be asked twice. Raises as `get`."""
        clock = self.machine.clock
        deadline = clock.monotonic() + self.away_seconds
        while True:
            try:
                return self.change(*arguments)
            except AwayError:
                if clock.monotonic() > deadline:
                    raise
                clock.sleep(1)

    def change(self, *arguments: str, stdin: str = "", seconds: float = 60) -> str:
        """What kubectl prints, asked once. Raises RefusedError or AwayError with what it said."""
        ended = self._run(*arguments, stdin=stdin, seconds=seconds)
        if ended.succeeded:
            return ended.stdout
        words = f"kubectl {' '.join(arguments[:3])}: {one_line(ended.stderr or ended.stdout)}"
        if reason := re.search(r"Error from server \((\w+)\)", ended.stderr):
            if reason[1] not in ("ServiceUnavailable", "InternalError", "Timeout", "ServerTimeout"):
                raise RefusedError(words, reason[1])
            raise AwayError(words)
        if _AWAY.search(ended.stderr):
            raise AwayError(words)
        raise RefusedError(words, "")

    def _run(self, *arguments: str, stdin: str, seconds: float) -> Ended:
        timeout = f"--request-timeout={_REQUEST_SECONDS}s"
        command = (str(self.machine.path(PROGRAM)), "--kubeconfig", str(self.kubeconfig), timeout, *arguments)
        return self.machine.run(*command, stdin=stdin, seconds=seconds)
