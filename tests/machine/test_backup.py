"""`mig-k8s backup` and `mig-k8s restore` on a server: what is saved, what is refused, what becomes of the datastore."""

import json
from pathlib import Path
from typing import Any

import pytest
from backed_up import CONTENT, TOKEN, BackedUp, backup, order
from calls import call

from machine.documents.backup import Backup, Restored


@pytest.fixture
def machine(tmp_path: Path) -> BackedUp:
    """A server that runs."""
    return BackedUp.below(tmp_path)


def restored(text: str) -> Restored:
    return Restored.from_json(text)


def test_a_backup_has_a_fresh_snapshot_and_what_reads_it(machine: BackedUp) -> None:
    done = call(machine, "backup")
    assert (done.status, done.stderr) == (0, "")
    saved = Backup.from_json(done.stdout)
    assert saved.content() == b"the datastore"
    assert (saved.node, saved.release, saved.token) == ("mlops-k8s-master", "v1.35.7+rke2r1", TOKEN)
    assert (saved.taken, saved.file) == ("2026-11-26T10:00:00Z", "mig-k8s-backup-mlops-k8s-master-1")
    assert machine.calls("rke2 etcd-snapshot prune") == [
        "rke2 etcd-snapshot prune --name mig-k8s-backup- --snapshot-retention 1"
    ]


def test_snapshots_in_a_folder_of_the_stacks_are_found_there(machine: BackedUp) -> None:
    machine.write("etc/rancher/rke2/config.yaml", 'node-ip: 10.60.0.4\netcd-snapshot-dir: "/mnt/snapshots"\n', 0o600)
    (machine.state / "snapshots").write_text("mnt/snapshots")
    assert Backup.from_json(call(machine, "backup").stdout).content() == b"the datastore"


def test_a_server_that_does_not_run_saves_nothing_and_says_so(machine: BackedUp) -> None:
    machine.systemd.set(active=[])
    done = call(machine, "backup")
    assert (done.status, done.stdout) == (1, "")
    assert "rke2-server.service does not run here" in done.stderr


def test_a_snapshot_that_rke2_cannot_save_is_told_in_its_words(machine: BackedUp) -> None:
    (machine.state / "no-snapshot").write_text("etcdserver: no leader")
    done = call(machine, "backup")
    assert (done.status, done.stdout) == (1, "")
    assert "no snapshot of etcd could be saved: etcdserver: no leader" in done.stderr


def test_a_token_that_changes_while_it_is_saved_is_taken_with_the_snapshot_after_it(machine: BackedUp) -> None:
    (machine.state / "new-token").write_text("K10abc::server:rotated")
    saved = Backup.from_json(call(machine, "backup").stdout)
    assert saved.token == "rotated"
    assert len(machine.calls("rke2 etcd-snapshot save")) == 2


def test_the_datastore_becomes_that_of_the_backup_and_the_server_starts_with_it_alone(machine: BackedUp) -> None:
    machine.write("etc/rancher/rke2/config.yaml", "server: https://10.60.0.9:9345\nnode-ip: 10.60.0.4\n", 0o600)
    done = call(machine, "restore", stdin=order())
    assert done.status == 0, done.stderr
    assert restored(done.stdout).address == "10.60.0.4"
    assert machine.read("var/lib/rancher/rke2/server/db/etcd/restored") == CONTENT.decode()
    assert (machine.state / "reset-config").read_text() == "node-ip: 10.60.0.4\n"
    assert machine.read("etc/rancher/rke2/config.yaml") == "server: https://10.60.0.9:9345\nnode-ip: 10.60.0.4\n"
    assert machine.story() == ["save mig-k8s-before-restore", "stop", "reset", "start"]
    assert "what is here now is saved as " in done.stderr
    assert TOKEN not in done.stderr + done.stdout


def test_only_the_passwords_of_other_nodes_are_forgotten(machine: BackedUp) -> None:
    assert call(machine, "restore", stdin=order(nodes=["mlops-k8s-master", "gpu", "gpu-1"])).status == 0
    assert machine.forgotten() == ["gpu.node-password.rke2", "gpu-1.node-password.rke2"]


def test_a_check_changes_nothing_and_tells_how_others_join(machine: BackedUp) -> None:
    done = call(machine, "restore", "--check", stdin=order())
    assert done.status == 0, done.stderr
    again = call(machine, "restore", "--check", stdin=order())
    assert restored(done.stdout) == restored(again.stdout)
    assert machine.story() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": "another"}, "nothing was changed: this server has another token than the snapshot"),
        ({"release": "v1.34.7+rke2r1"}, "nothing was changed: the snapshot was saved by RKE2 v1.34.7+rke2r1, and this"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_changed(
    machine: BackedUp, changes: dict[str, Any], words: str
) -> None:
    for option in (["--check"], []):
        done = call(machine, "restore", *option, stdin=order(**changes))
        assert done.status != 0
        assert words in done.stderr
    assert machine.story() == []
    assert not machine.path("var/lib/mig-k8s/restore.json").exists()


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"snapshot": "no base64 !"}, {"snapshot": ""}])
def test_a_snapshot_that_is_not_whole_is_refused_before_anything_is_changed(
    machine: BackedUp, changes: dict[str, str]
) -> None:
    done = call(machine, "restore", stdin=order(**changes))
    assert (done.status, machine.story()) == (2, [])
    assert "the backup: its snapshot is damaged" in done.stderr


def test_the_backup_of_another_machines_order_is_refused(machine: BackedUp) -> None:
    text = json.dumps({**json.loads(order()), "node": "another"})
    done = call(machine, "restore", stdin=text)
    assert "this machine is mlops-k8s-master, and what came is for another: nothing was changed" in done.stderr
    assert machine.story() == []


def test_a_state_that_cannot_be_saved_any_more_keeps_nobody_from_restoring(machine: BackedUp) -> None:
    (machine.state / "no-snapshot").write_text("etcdserver: no leader")
    done = call(machine, "restore", stdin=order())
    assert done.status == 0, done.stderr
    assert "what is here now cannot be saved (no snapshot of etcd could be saved: etcdserver: no leader)" in done.stderr


def test_a_reset_that_rke2_refuses_is_told_and_the_next_run_tries_again(machine: BackedUp) -> None:
    (machine.state / "refuses").write_text("bootstrap data already found and encrypted with different token")
    done = call(machine, "restore", stdin=order())
    assert done.status == 1
    assert "RKE2 did not restore the snapshot: bootstrap data already found and encrypted with different" in done.stderr
    (machine.state / "refuses").unlink()
    assert call(machine, "restore", stdin=order()).status == 0
    assert machine.story() == ["save mig-k8s-before-restore", "stop", "reset", "stop", "reset", "start"]


def test_a_reset_that_a_killed_run_has_left_at_work_is_waited_for(machine: BackedUp) -> None:
    (machine.state / "refuses").write_text("listen tcp :9345: bind: address already in use")
    machine.clock.at(20, (machine.state / "refuses").unlink)
    assert call(machine, "restore", stdin=order()).status == 0
    assert machine.story()[-1] == "start"


def test_the_same_again_does_not_replace_the_datastore_twice_until_all_are_back(machine: BackedUp) -> None:
    first = call(machine, "restore", stdin=order())
    again = call(machine, "restore", stdin=order())
    assert restored(first.stdout) == restored(again.stdout)
    assert "goes on with the restore of 2026-11-26T10:00:00Z" in again.stderr
    assert machine.story().count("reset") == 1
    assert call(machine, "restore", "--end").status == 0
    assert not machine.path("var/lib/mig-k8s/restore.snapshot").exists()
    assert call(machine, "restore", stdin=order()).status == 0
    assert machine.story().count("reset") == 2


def test_one_that_was_begun_more_than_a_day_ago_and_one_of_another_backup_are_begun_anew(machine: BackedUp) -> None:
    first = restored(call(machine, "restore", stdin=order()).stdout)
    path = machine.path("var/lib/mig-k8s/restore.json")
    path.write_text(path.read_text().replace("2026-11-26T10", "2026-11-25T09"))
    second = restored(call(machine, "restore", stdin=order()).stdout)
    third = restored(call(machine, "restore", stdin=order(backup(b"another"))).stdout)
    assert machine.story().count("reset") == 3
    assert len({first.restore, second.restore, third.restore}) == 3


def test_beside_a_run_that_brings_the_machine_to_another_state_nothing_is_restored(machine: BackedUp) -> None:
    with machine.converging():
        done = call(machine, "restore", stdin=order())
    assert (done.status, machine.story()) == (2, [])
    words = "a run of `pulumi up`, of a boot or of another restore is under way here"
    assert done.stderr.splitlines() == [
        f"waits: {words}",
        f"mig-k8s: nothing was changed: {words}. Try again when it has ended",
    ]


def test_a_snapshot_that_rke2_had_packed_is_given_to_it_as_such(machine: BackedUp) -> None:
    assert call(machine, "restore", stdin=order(file="mig-k8s-backup-1.zip")).status == 0
    (said,) = machine.calls("rke2 server")
    assert "--cluster-reset-restore-path=" in said
    assert "restore.snapshot.zip " in said
    call(machine, "restore", "--end")
    assert list(machine.path("var/lib/mig-k8s").glob("restore.snapshot*")) == []
