"""`mig-k8s rejoin`: this machine leaves the cluster that was, and comes back to the one that another server restored.

Where it was cut off, the same command goes on. A server's old datastore is moved aside in one step, under the restore's
name: that folder shows that the server has left, also after a reboot in the middle.
"""

import shutil
from pathlib import Path

from machine.backup import rke2
from machine.documents.backup import Rejoin
from machine.documents.configuration import RKE2_CONFIG_PATH
from machine.host import files
from machine.host.console import say
from machine.host.this_machine import ThisMachine
from machine.update import rke2_upgrade

CONFIG_BEFORE = "/var/lib/mig-k8s/rke2-config-before-rejoin.yaml"
_PORT = 9345


def check(machine: ThisMachine, order: Rejoin) -> int:
    """Check whether it can be done, and change nothing. Returns 0. Raises MachineError with the reason if not."""
    machine.must_be(order.node)
    if machine.desired_state().rke2.role == "server":
        rke2.require_token(machine, order.token_digest)
    rke2_upgrade.program(machine)
    return 0


def stop(machine: ThisMachine, order: Rejoin) -> int:
    """Stop RKE2 here before another server restores, unless this server has come back already. Returns 0."""
    check(machine, order)
    if machine.desired_state().rke2.role == "server" and not _aside(machine, order).exists():
        rke2.stop(machine, rke2.SERVER)
    return 0


def rejoin(machine: ThisMachine, order: Rejoin) -> int:
    """Join the cluster that another server has restored. Returns 0. Raises MachineError."""
    check(machine, order)
    if machine.desired_state().rke2.role == "agent":
        # With the certificates of the cluster as it is now, and none of its watches from before.
        rke2.restart(machine, rke2.AGENT)
        return 0
    datastore, aside = machine.path(rke2.DATA), _aside(machine, order)
    if not aside.exists():
        _leave(machine, order, datastore, aside)
    say(f"joins the server at {order.address}")
    rke2.start(machine, rke2.SERVER)
    before = machine.path(CONFIG_BEFORE)
    if before.exists():  # RKE2 asks for no server any more, and must not restart for that
        files.write(machine.path(RKE2_CONFIG_PATH), before.read_text(encoding="utf-8"), 0o600)
        before.unlink()
    for older in datastore.parent.glob("db-before-*"):
        if older != aside:
            shutil.rmtree(older)
    return 0


def _aside(machine: ThisMachine, order: Rejoin) -> Path:
    """Where the old datastore lies once this server has left."""
    return machine.path(rke2.DATA).with_name(f"db-before-{order.restore}")


def _leave(machine: ThisMachine, order: Rejoin, datastore: Path, aside: Path) -> None:
    rke2.stop(machine, rke2.SERVER)
    path = machine.path(RKE2_CONFIG_PATH)
    before = machine.path(CONFIG_BEFORE)
    if not before.exists():
        files.write(before, path.read_text(encoding="utf-8"), 0o600)
    # First this: without datastore and without a server to join, RKE2 would found another cluster.
    config = rke2.without_server(before.read_text(encoding="utf-8"))
    files.write(path, f"{config}server: https://{order.address}:{_PORT}\n", 0o600)
    datastore.mkdir(parents=True, exist_ok=True)
    rke2.rename(datastore, aside)
