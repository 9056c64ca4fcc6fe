"""Which cluster a machine becomes part of: its own, one that answers, one that it founds; else nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from calls import Called, call
from staged import StagedMachine, configuration

from machine.host.program import Ended

CONFIG = """node-name: mlops-k8s-master
token-file: /etc/rancher/rke2/token
server: https://a-server-of-the-cluster.invalid:9345
node-label:
- a=b
"""
DATASTORE = "var/lib/rancher/rke2/server/db/etcd/member/wal/0.wal"
PERMISSION = "var/lib/mig-k8s/may-found"
OTHERS = ("10.60.0.5", "10.60.0.6")
Make = Callable[..., StagedMachine]


def configured(server: str) -> str:
    """RKE2's configuration with this line in the place of the one that stands for it."""
    return CONFIG.replace("server: https://a-server-of-the-cluster.invalid:9345\n", server)


ALONE, JOINED = configured(""), configured("server: https://10.60.0.6:9345\n")


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    """A machine that has just booted; no server answers on port 9345."""
    made = StagedMachine.below(tmp_path)
    made.write("etc/rancher/rke2/config.yaml", CONFIG, 0o600)
    answering(made)
    return made


def answering(machine: StagedMachine, *addresses: str) -> None:
    """Servers that answer, and no other."""
    urls = {f"https://{address}:9345/cacerts" for address in addresses}

    def curl(command: tuple[str, ...], _stdin: str) -> Ended:
        with (machine.state / "calls").open("a", encoding="utf-8") as calls:
            calls.write(f"{' '.join(command)}\n")
        return Ended(command, 0 if command[-1] in urls else 7, "", "")

    machine.answers["curl"] = curl


def update(
    machine: StagedMachine, *servers: str, role: Literal["server", "agent"] = "server", config: str = CONFIG
) -> Called:
    rke2 = {"version": "v1.36.4+rke2r1", "artifacts": None, "sha256": None}
    text = configuration(token="t\n", rke2_config=config, rke2={**rke2, "role": role, "cis": False})
    return call(machine, "update", *(word for server in servers for word in ("--join", server)), stdin=text)


def config(machine: StagedMachine) -> str:
    return machine.read("etc/rancher/rke2/config.yaml")


@pytest.mark.parametrize("others", [(), OTHERS])
@pytest.mark.parametrize("was", [ALONE, JOINED])
def test_a_server_with_a_datastore_keeps_the_server_that_it_has_joined_by_or_none(
    machine: StagedMachine, was: str, others: tuple[str, ...]
) -> None:
    """Byte for byte, or RKE2 would restart; others are not even asked."""
    machine.write("etc/rancher/rke2/config.yaml", was, 0o600)
    machine.write(DATASTORE, "")
    answering(machine, *others)
    assert update(machine, *others).status == 0
    assert config(machine) == was
    assert machine.calls("curl") == []


def test_a_server_whose_configuration_was_deleted_by_hand_gets_it_again(machine: StagedMachine) -> None:
    machine.path("etc/rancher/rke2/config.yaml").unlink(missing_ok=True)
    machine.write(DATASTORE, "")
    assert update(machine, *OTHERS).status == 0
    assert config(machine) == ALONE


def test_an_agent_that_has_joined_keeps_its_server_although_that_is_gone(machine: StagedMachine) -> None:
    was = configured("server: https://10.60.0.9:9345\n")
    machine.write("etc/rancher/rke2/config.yaml", was, 0o600)
    machine.write("var/lib/rancher/rke2/agent/kubelet.kubeconfig", "")
    answering(machine, *OTHERS)
    assert update(machine, *OTHERS, role="agent").status == 0
    assert config(machine) == was


@pytest.mark.parametrize("role", ["server", "agent"])
@pytest.mark.parametrize("permitted", [True, False])
def test_without_a_datastore_it_joins_the_first_server_that_answers_whatever_it_may(
    machine: StagedMachine, role: Literal["server", "agent"], permitted: bool
) -> None:
    if permitted:
        machine.write(PERMISSION, "")
    answering(machine, "10.60.0.6", "10.60.0.7")
    assert update(machine, *OTHERS, "10.60.0.7", role=role).status == 0
    assert config(machine) == JOINED


@pytest.mark.parametrize("others", [(), OTHERS])
def test_with_the_permission_and_nobody_to_join_a_server_founds(
    machine: StagedMachine, others: tuple[str, ...]
) -> None:
    assert call(machine, "permit-founding").status == 0
    assert update(machine, *others).status == 0
    assert config(machine) == ALONE


def test_an_agent_never_founds(machine: StagedMachine) -> None:
    machine.write(PERMISSION, "")
    done = update(machine, *OTHERS, role="agent")
    assert done.status == 1
    assert done.stderr == (
        "mig-k8s: mlops-k8s-master joins no cluster, and nothing was changed: no server answers at 10.60.0.5, "
        "10.60.0.6 (port 9345). Start one of them, then `pulumi up`\n"
    )


@pytest.mark.parametrize(
    ("others", "why", "remedy"),
    [
        (OTHERS, "no server answers at 10.60.0.5, 10.60.0.6 (port 9345)", "Start one of them, then `pulumi up`"),
        ((), "the stack has no other server", "Restore it from a snapshot"),
    ],
)
def test_otherwise_a_server_refuses_before_anything_is_written(
    machine: StagedMachine, others: tuple[str, ...], why: str, remedy: str
) -> None:
    done = update(machine, *others)
    assert done.status == 1
    assert done.stderr == (
        f"mig-k8s: mlops-k8s-master has no datastore, {why}, and it may not found a second cluster: nothing was "
        f"changed. {remedy}. If the stack has no cluster any more: `sudo mig-k8s permit-founding` "
        "there, then `pulumi up` founds one\n"
    )
    assert config(machine) == CONFIG
    assert not machine.path("etc/rancher/rke2/token").exists()
    assert machine.runs() == []


def test_a_server_that_is_only_restarting_is_waited_for(machine: StagedMachine) -> None:
    machine.clock.at(100, lambda: answering(machine, "10.60.0.6"))
    assert update(machine, *OTHERS).status == 0
    assert config(machine) == JOINED


def test_a_first_boot_that_was_killed_before_the_datastore_was_there_goes_on(machine: StagedMachine) -> None:
    call(machine, "permit-founding")
    update(machine)
    assert config(machine) == ALONE
    assert update(machine).status == 0
    assert config(machine) == ALONE


def test_where_a_cluster_is_on_the_disk_there_is_nothing_to_permit(machine: StagedMachine) -> None:
    """A stack of an older version is given the permission when its cluster is years old."""
    machine.write(DATASTORE, "")
    done = call(machine, "permit-founding")
    assert (done.status, done.stderr) == (0, "a cluster is on the disk of this machine already: nothing to permit\n")
    assert not machine.path(PERMISSION).exists()
