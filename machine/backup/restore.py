"""`mig-k8s restore`: a snapshot becomes the datastore of this server, which is the cluster's only one then.

Where it was cut off, the same command goes on. What runs on the GPUs is neither asked nor changed.
"""

import dataclasses
import re

from machine.backup import rke2, underway
from machine.documents.backup import Restore, Restored, digest_of
from machine.documents.configuration import RKE2_CONFIG_PATH
from machine.documents.rke2_version import minor
from machine.host import files
from machine.host.console import one_line, report, say
from machine.host.errors import NodeError, UsageError
from machine.host.program import Ended
from machine.host.this_machine import ThisMachine
from machine.kubernetes.kubectl import Kubectl
from machine.update import rke2_upgrade

SNAPSHOT = "/var/lib/mig-k8s/restore.snapshot"
CONFIG = "/run/mig-k8s/restore-config.yaml"
"""A copy of RKE2's configuration without `server:`, with which RKE2 refuses a reset. The original stays as it is."""
_FLAG = f"{rke2.DATA}/reset-flag"
_BEFORE = "mig-k8s-before-restore"
_RESET_SECONDS = 900
_OTHER_SECONDS = 120
"""How long a reset that a killed run has left at work is waited for."""
_API_SECONDS = 300


def check(machine: ThisMachine, order: Restore) -> int:
    """Print under which name it will be done and how others join; the snapshot itself is not needed for that.

    Returns 0. Raises MachineError with why it cannot be done.
    """
    _require(machine, order)
    report(Restored(underway.begin(machine, order.backup).restore, _address(machine)).to_json())
    return 0


def _require(machine: ThisMachine, order: Restore) -> None:
    machine.must_be(order.node)
    if machine.desired_state().rke2.role != "server":
        raise UsageError(f"{order.node} is not a server")
    rke2.require_token(machine, digest_of(order.backup.token))
    rke2_upgrade.program(machine)
    here = rke2_upgrade.release(machine, rke2.SERVER)
    if here is None or minor(here) != minor(order.backup.release):
        raise NodeError(
            f"nothing was changed: the snapshot was saved by RKE2 {order.backup.release}, and this server"
            f" has {here or 'one that does not tell its release'}. Write rke2.version: {order.backup.release} in the"
            " stack file of a stack that has no cluster to lose, `pulumi up`, and restore there"
        )


def restore(machine: ThisMachine, order: Restore) -> int:
    """Restore the snapshot, and print how others join. Returns 0. Raises MachineError, DocumentError."""
    _require(machine, order)
    order.backup.content()
    state = underway.begin(machine, order.backup)
    if not state.is_replaced:
        _save_what_is_here(machine)
        rke2.stop(machine, rke2.SERVER)
        _replace(machine, order)
        state = dataclasses.replace(state, is_replaced=True)
        state.keep(machine)
    say("starts RKE2")
    rke2.start(machine, rke2.SERVER)
    _let_nodes_in(machine, order)
    report(Restored(state.restore, _address(machine)).to_json())
    return 0


def end(machine: ThisMachine) -> int:
    """End the restore when all machines are back: another run with this backup restores again. Returns 0."""
    underway.end(machine)
    snapshot = machine.path(SNAPSHOT)
    for path in snapshot.parent.glob(f"{snapshot.name}*"):
        path.unlink()
    return 0


def _save_what_is_here(machine: ThisMachine) -> None:
    if not machine.active_units(rke2.SERVER):
        return
    try:
        say(f"what is here now is saved as {rke2.save(machine, _BEFORE)}")
    except NodeError as error:
        say(f"what is here now cannot be saved ({error}); RKE2 keeps it beside the new datastore, as etcd-old-…")


def _replace(machine: ThisMachine, order: Restore) -> None:
    packed = ".zip" if order.backup.file.endswith(".zip") else ""  # by which RKE2 knows it
    path = machine.path(SNAPSHOT + packed)
    files.write(path, order.backup.content(), 0o600)
    config = machine.path(RKE2_CONFIG_PATH).read_text(encoding="utf-8")
    files.write(machine.path(CONFIG), rke2.without_server(config), 0o600)
    say("the snapshot becomes the datastore of this server")
    ended: list[Ended] = []

    def has_ended() -> bool:
        # The mark of an earlier reset: RKE2 refuses another one until it has started, and it must not start yet.
        machine.path(_FLAG).unlink(missing_ok=True)
        flags = ("--cluster-reset", f"--cluster-reset-restore-path={path}", "--config", str(machine.path(CONFIG)))
        ended.append(machine.run(rke2_upgrade.program(machine), "server", *flags, seconds=_RESET_SECONDS))
        return ended[-1].succeeded or "address already in use" not in ended[-1].stderr + ended[-1].stdout

    machine.clock.wait(has_ended, _OTHER_SECONDS, pause=5)
    if not ended[-1].succeeded:
        words = one_line("\n".join((ended[-1].stdout + ended[-1].stderr).splitlines()[-3:]))
        raise NodeError(
            f"RKE2 did not restore the snapshot: {words}. RKE2 is stopped here; the datastore that was here is kept as"
            f" {machine.path(rke2.DATA)}/etcd-old-…, and {_BEFORE}-… among the snapshots. The same command tries again"
        )


def _let_nodes_in(machine: ThisMachine, order: Restore) -> None:
    """Forget the node passwords that the snapshot has: a machine that was made anew has another one."""
    kubectl = Kubectl.here(machine)
    if kubectl is None:
        raise NodeError("RKE2 runs and has written no kubeconfig: run the same command again")
    secrets = [f"{name}.node-password.rke2" for name in order.nodes if name != order.node]
    if secrets:
        words = ("delete", "secret", "--namespace", "kube-system", "--ignore-not-found", *secrets)
        kubectl.repeat(*words, away_seconds=_API_SECONDS)


def _address(machine: ThisMachine) -> str:
    config = machine.path(RKE2_CONFIG_PATH).read_text(encoding="utf-8")
    found = re.search(r"^node-ip: *[\"']?([0-9.]+)", config, re.MULTILINE)
    if found is None:
        raise UsageError(f"{machine.path(RKE2_CONFIG_PATH)} has no node-ip: `pulumi up` first")
    return found[1]
