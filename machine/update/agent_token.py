"""The token by which this agent joins. RKE2 reads it when it starts and, until a server takes it, asks on and on."""

from machine.documents.configuration import RKE2_TOKEN_PATH
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine

_UNIT = "rke2-agent.service"


def end_waiting(machine: ThisMachine, wanted: str) -> None:
    """Stop an RKE2 that asks with another token than `wanted`; one that has joined goes on. Raises NodeError.

    Before the token is written: should this be killed, the next one still sees that it is another.
    """
    path = machine.path(RKE2_TOKEN_PATH)
    if not path.exists() or path.read_text(encoding="utf-8") == wanted:
        return
    if machine.systemctl("is-active", _UNIT, seconds=60).stdout.strip() != "activating":
        return
    stopped = machine.systemctl("stop", _UNIT, seconds=300)
    if not stopped.succeeded:
        raise NodeError(f"RKE2 waits with an old token and cannot be stopped: {stopped.stderr.strip()}")
