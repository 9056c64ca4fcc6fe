"""`mig-k8s backup`: a fresh snapshot of the cluster with what is needed to read it, on standard output."""

from machine.backup import rke2
from machine.documents.backup import Backup, packed
from machine.host.console import report
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import server_token
from machine.update import rke2_upgrade

_NAME = "mig-k8s-backup"
_TRIES = 3


def take(machine: ThisMachine) -> int:
    """Save a backup and print it. Returns 0. Raises NodeError."""
    if not machine.active_units(rke2.SERVER):
        raise NodeError(f"{rke2.SERVER} does not run here, so the cluster cannot be saved. Ask a server that runs")
    for _ in range(_TRIES):
        token = server_token.clusters(machine)
        path = rke2.save(machine, _NAME)
        content = path.read_bytes()
        # A token that is rotated meanwhile may or may not open this snapshot.
        if token and token == server_token.clusters(machine):
            break
    else:
        raise NodeError("the cluster's token is being changed: try again when `pulumi up` has ended")
    release = rke2_upgrade.release(machine, rke2.SERVER)
    if release is None:
        raise NodeError("RKE2 does not tell its release, without which the snapshot is of no use")
    node, taken = machine.desired_state().node.name, machine.clock.utc()
    report(Backup(node, taken, release, token, path.name, *packed(content)).to_json())
    return 0
