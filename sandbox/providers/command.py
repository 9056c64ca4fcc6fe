"""Stand-in for pulumi-resource-command 1.2.1: remote.Command over real SSH, with the real one's habits.

Changed triggers replace; every other change runs `update`, or else `create` again. Nothing is dialled in a preview.
A failure leaves no resource, and its text holds the command and all its output, whatever their secrecy.
"""

import time
import uuid
from collections.abc import Callable

from sandbox.providers import ssh
from sandbox.providers.plugin import Display
from sandbox.providers.resource_provider import Failure, InvalidInput, ResourceProvider, serve
from sandbox.providers.values import UNKNOWN, Properties, top

_COMMAND = "command:remote:Command"
_CONNECTION_DEFAULTS = {"user": "root", "port": 22, "perDialTimeout": 15, "dialErrorLimit": 10}
_LOGGED = {
    None: ("stdout", "stderr"),
    "stdoutAndStderr": ("stdout", "stderr"),
    "stdout": ("stdout",),
    "stderr": ("stderr",),
    "none": (),
}


class Command(ResourceProvider):
    """Commands on machines."""

    name = "command"

    def __init__(self, display: Display) -> None:
        self._display = display

    def check(self, token: str, _name: str, _old: Properties, new: Properties, _seed: bytes) -> Properties:
        if token != _COMMAND:
            raise Failure(f"the sandbox does not stand in for {token}")
        if new.get("logging", None) not in (*_LOGGED, UNKNOWN):
            raise InvalidInput("logging", f"{new['logging']!r} is none of stdout, stderr, stdoutAndStderr, none")
        connection = new.get("connection")
        if connection != UNKNOWN:
            if not isinstance(connection, dict) or not connection.get("host"):
                raise InvalidInput("connection", "missing required field 'host'")
            new["connection"] = {**_CONNECTION_DEFAULTS, **{k: v for k, v in connection.items() if v is not None}}
        new.setdefault("addPreviousOutputInEnv", True)
        return new

    def replaces(self, _token: str, path: str) -> bool:
        return top(path) == "triggers"

    def create(self, _token: str, urn: str, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        return f"cmd{uuid.uuid4().hex}", self._run(inputs.get("create"), urn, inputs, {}, timeout)

    def update(self, _token: str, urn: str, old: Properties, new: Properties, timeout: float) -> Properties:
        return self._run(new.get("update") or new.get("create"), urn, new, old, timeout)

    def delete(self, _token: str, urn: str, _resource_id: str, state: Properties) -> None:
        if state.get("delete"):
            self._run(state["delete"], urn, state, state, 0)

    def _run(self, script: str | None, urn: str, inputs: Properties, before: Properties, timeout: float) -> Properties:
        if not script:
            return {**inputs, "stdout": before.get("stdout", ""), "stderr": before.get("stderr", "")}
        logged = _LOGGED[inputs.get("logging")]
        show: dict[str, Callable[[str], None]] = {name: lambda line: self._display.status(urn, line) for name in logged}
        for variable in inputs.get("environment") or {}:  # what sshd answers unless AcceptEnv names it
            raise Failure(f'could not set environment variable "{variable}": ssh: setenv failed')
        client = ssh.dial(inputs["connection"], time.monotonic() + timeout if timeout else None)
        try:
            said = ssh.run(
                client,
                script,
                stdin=inputs.get("stdin") or "",
                show=show,
            )
        finally:
            client.close()
        return {**inputs, "stdout": said.stdout, "stderr": said.stderr}


if __name__ == "__main__":
    serve(Command(Display()))
