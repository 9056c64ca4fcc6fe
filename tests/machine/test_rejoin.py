"""`mig-k8s rejoin`: servers and agents come back to a cluster that was restored, and nothing is founded meanwhile."""

import json
from pathlib import Path

import pytest
from a_machine import DESIRED, NAME
from backed_up import TOKEN, BackedUp
from calls import Called, call

from machine.documents.backup import Rejoin, digest_of

DB = "var/lib/rancher/rke2/server/db"
CONFIG = "etc/rancher/rke2/config.yaml"
ASIDE = "var/lib/rancher/rke2/server/db-before-1f2e"


@pytest.fixture
def machine(tmp_path: Path) -> BackedUp:
    """A server that runs, beside the one that restores."""
    return BackedUp.below(tmp_path)


def order(restore: str = "1f2e", token: str = TOKEN) -> str:
    return Rejoin(NAME, digest_of(token), restore, "10.60.0.4").to_json()


def rejoin(machine: BackedUp, *options: str, restore: str = "1f2e") -> Called:
    """RKE2 makes another datastore when it starts where there is none."""
    done = call(machine, "rejoin", *options, stdin=order(restore))
    if done.status == 0 and "start" in machine.story()[-1:]:
        machine.write(f"{DB}/etcd/data", "the restored cluster's")
    return done


def agent(machine: BackedUp) -> None:
    machine.desire(rke2={**DESIRED["rke2"], "role": "agent"})


def test_a_server_leaves_its_datastore_aside_and_joins_the_one_that_restored(machine: BackedUp) -> None:
    seen: list[str] = []
    machine.answers["systemctl"] = lambda command, stdin: (
        seen.append(f"{command[1]} {machine.path(DB).exists()} {'server: https' in machine.read(CONFIG)}"),
        machine.systemd.answer(command, stdin),
    )[1]
    done = rejoin(machine)
    assert done.status == 0, done.stderr
    assert machine.read(f"{ASIDE}/etcd/data") == "the datastore"
    assert seen == ["stop True False", "start False True"]
    assert "joins the server at 10.60.0.4" in done.stderr


def test_its_configuration_is_what_it_was_once_it_has_joined(machine: BackedUp) -> None:
    before = "node-ip: 10.60.0.5\nserver: https://10.60.0.9:9345\ncni: calico\n"
    machine.write(CONFIG, before, 0o600)
    configs: list[str] = []
    machine.answers["systemctl"] = lambda command, stdin: (
        configs.append(machine.read(CONFIG)),
        machine.systemd.answer(command, stdin),
    )[1]
    assert rejoin(machine).status == 0
    assert configs[-1] == "node-ip: 10.60.0.5\ncni: calico\nserver: https://10.60.0.4:9345\n"
    assert (machine.read(CONFIG), machine.mode_of(CONFIG)) == (before, "0o600")
    assert list(machine.path("var/lib/mig-k8s").glob("*rejoin*")) == []


def test_the_same_again_leaves_the_cluster_that_it_has_joined_alone(machine: BackedUp) -> None:
    rejoin(machine)
    assert rejoin(machine, "--stop").status == 0
    assert rejoin(machine).status == 0
    assert machine.story() == ["stop", "start", "start"]
    assert machine.read(f"{DB}/etcd/data") == "the restored cluster's"


def test_another_restore_is_joined_anew_and_the_older_datastore_goes(machine: BackedUp) -> None:
    rejoin(machine)
    assert rejoin(machine, restore="3d4c").status == 0
    folder = machine.path(DB).parent
    assert [path.name for path in sorted(folder.glob("db-*"))] == ["db-before-3d4c"]
    assert machine.read("var/lib/rancher/rke2/server/db-before-3d4c/etcd/data") == "the restored cluster's"


def test_a_server_that_stops_for_a_restore_keeps_all_it_has(machine: BackedUp) -> None:
    assert rejoin(machine, "--stop").status == 0
    assert (machine.story(), machine.read(f"{DB}/etcd/data")) == (["stop"], "the datastore")


def test_an_agent_restarts_and_is_not_stopped(machine: BackedUp) -> None:
    agent(machine)
    assert rejoin(machine, "--stop").status == 0
    assert machine.story() == []
    assert rejoin(machine).status == 0
    assert machine.story() == ["restart"]
    assert machine.systemd.calls() == ["systemctl restart rke2-agent.service"]


def test_a_server_of_another_token_and_another_machine_are_refused_and_nothing_is_changed(machine: BackedUp) -> None:
    for option in ("--check", "--stop", None):
        done = call(machine, "rejoin", *([option] if option else []), stdin=order(token="another"))
        assert "nothing was changed: this server has another token than the snapshot" in done.stderr
    done = call(machine, "rejoin", stdin=json.dumps({**json.loads(order()), "node": "gpu"}))
    assert "this machine is mlops-k8s-master, and what came is for gpu" in done.stderr
    assert (machine.story(), machine.read(f"{DB}/etcd/data")) == ([], "the datastore")


def test_an_rke2_that_does_not_start_is_told_and_the_next_run_goes_on(machine: BackedUp) -> None:
    machine.systemd.set(broken=["rke2-server.service"])
    done = call(machine, "rejoin", stdin=order())
    assert done.status == 1
    assert "`systemctl start rke2-server.service` failed" in done.stderr
    machine.systemd.set(broken=[])
    assert rejoin(machine).status == 0
    assert machine.read(CONFIG) == "node-ip: 10.60.0.4\n"
    assert machine.read(f"{ASIDE}/etcd/data") == "the datastore"
