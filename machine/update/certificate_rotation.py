"""RKE2's certificates on this machine made anew, all but the authorities', while its pods go on.

An agent gets others whenever RKE2 starts. A server keeps those that last: RKE2 is stopped, `rke2 certificate rotate`
takes them away, and it starts again. systemd does these three, so no session that is cut leaves RKE2 stopped. What is
cut anywhere else is done again from the beginning by the next call, which finds the mark.
"""

from machine.converge.run import LOCK
from machine.host import files, lock
from machine.host.console import one_line, say
from machine.host.errors import NodeError
from machine.host.this_machine import ThisMachine
from machine.kubernetes import command_turn
from machine.kubernetes.kubectl import AwayError, Kubectl
from machine.kubernetes.node import Node, is_ready
from machine.kubernetes.turns import READY_SECONDS
from machine.update import rke2_upgrade
from machine.verification.shown_certificate import API_SERVER, KUBELET, days_until, shown_end

MARK = "/var/lib/mig-k8s/certificates-rotate"
"""This file is there where a rotation was begun and has not ended well yet."""
_NEW_DAYS = 364
"""How long those that were made within a day last: they live for 365 days."""
_UNIT = "mig-k8s-certificates.service"
_START_SECONDS = 1200
STEPS = (
    'systemctl stop rke2-server.service && "$1" certificate rotate; status=$?;'
    f" timeout {_START_SECONDS} systemctl start rke2-server.service && exit $status"
)
_OTHER_SECONDS = _START_SECONDS + 300
"""How long a run of stages may take to end, or a call of this whose session was cut."""


def rotate(machine: ThisMachine) -> int:
    """Have RKE2 make its certificates anew, unless they are of today. Returns 0. Raises MachineError."""
    rke2, name = machine.desired_state().rke2, machine.desired_state().node.name

    def told() -> None:
        say(f"{name}: a run of its stages, or a call of this whose session was cut, is at work there: waits for it")

    with lock.held(machine.path(LOCK), machine.clock, seconds=_OTHER_SECONDS, told=told) as is_free:
        if not is_free:
            raise NodeError(f"nothing was changed on {name}: that did not end within {_OTHER_SECONDS} s")
        before = _days(machine, rke2.role)
        if before is not None and before >= _NEW_DAYS and not machine.path(MARK).exists():
            say(f"{name} has certificates of today: nothing to do")
            return 0
        if rke2.role == "server":
            _on_server(machine, name)
        else:
            _on_agent(machine)
        after = _days(machine, rke2.role)
        if after is None or (after < _NEW_DAYS and before is not None and after <= before):
            raise NodeError(
                f"RKE2 has restarted on {name} and shows {'no' if after is None else 'its old'} certificates:"
                f" `sudo journalctl -u rke2-{rke2.role}` there tells why"
            )
        machine.path(MARK).unlink(missing_ok=True)
    say(f"{name} has new certificates, the first of them ends in {after} days")
    return 0


def _days(machine: ThisMachine, role: str) -> int | None:
    """How long the first of the shown ones lasts, in whole days; None where one is not shown."""
    ports = (KUBELET, API_SERVER) if role == "server" else (KUBELET,)
    days = [
        None if (end := shown_end(machine, "127.0.0.1", port)) is None else days_until(machine, end) for port in ports
    ]
    known = [each for each in days if each is not None]
    return min(known) if len(known) == len(ports) else None


def _on_agent(machine: ThisMachine) -> None:
    files.write(machine.path(MARK), "", 0o600)
    with command_turn.during(machine, "RKE2 restarts for its certificates"):
        restarted = machine.systemctl("restart", "rke2-agent.service", seconds=_START_SECONDS)
        if not restarted.succeeded:
            raise NodeError(f"RKE2 does not start again: {one_line(restarted.stderr)}. Its journal tells why")


def _on_server(machine: ThisMachine, name: str) -> None:
    if not machine.path(MARK).exists():
        _check_quorum(machine, name)
    files.write(machine.path(MARK), "", 0o600)
    if not machine.clock.wait(lambda: not machine.active_units(_UNIT), _START_SECONDS):
        raise NodeError(f"{_UNIT} on {name}, of a session that was cut, does not end: `systemctl status` tells why")
    program = rke2_upgrade.program(machine)
    say(f"{name}: RKE2 stops, and starts with new certificates")
    command = ("systemd-run", f"--unit={_UNIT}", "--collect", "--quiet", "--wait", "/bin/sh", "-c", STEPS, "sh")
    done = machine.run(*command, program, seconds=_START_SECONDS + 300)
    if not done.succeeded:
        said = machine.run("journalctl", f"--unit={_UNIT}", "--lines=5", "--output=cat", "--no-pager").stdout
        raise NodeError(
            f"the certificates of {name} were not made anew: {one_line(done.stderr + said)}. `systemctl status"
            " rke2-server` there tells whether RKE2 runs. When that is repaired, run the same command again"
        )
    kubectl = Kubectl.here(machine)
    if kubectl is None or not machine.clock.wait(Node(kubectl, name).is_well, READY_SECONDS):
        raise NodeError(f"RKE2 has restarted on {name}, whose node is not Ready after {READY_SECONDS} s")


def _check_quorum(machine: ThisMachine, name: str) -> None:
    """Check that the other servers keep the majority while RKE2 restarts here. Raises NodeError if not."""
    end = shown_end(machine, "127.0.0.1", API_SERVER)
    if end is None or days_until(machine, end) < 0:
        return  # nothing is served here, and new certificates may help
    kubectl = Kubectl.here(machine)
    try:
        servers = kubectl.get("nodes", "-l", "node-role.kubernetes.io/etcd=true") if kubectl else []
    except AwayError as error:
        raise NodeError(
            f"nothing was changed on {name}: it is not known whether the other servers run: {error}"
        ) from None
    dead = [each["metadata"]["name"] for each in servers if each["metadata"]["name"] != name and not is_ready(each)]
    if len(servers) > 2 and len(servers) - 1 - len(dead) <= len(servers) // 2:  # two need each other
        raise NodeError(
            f"nothing was changed on {name}: RKE2 restarts there for its certificates, and {', '.join(dead)} do not"
            " answer, so the cluster would be without the majority of its servers. Bring them back, then run the same"
            " command again"
        )
