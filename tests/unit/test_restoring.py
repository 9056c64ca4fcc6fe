"""`make restore` on a person's machine: whom it asks what, in which order, and where it ends. ssh is the test's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from machine.documents.backup import Backup, Restored, packed
from scripts import backup, restore
from scripts.backup import taken
from scripts.restore import Restoring
from scripts.stack import Machine, StackError

BACKUP = Backup("server", "2026-11-27T19:00:00Z", "v1.36.4+rke2r1", "the token", "s-1", *packed(b"the datastore"))
JOINING = Restored("1f2e", "10.60.0.4")
SSH = """#!/bin/sh
# ssh.sh NAME COMMAND
echo "$1: ${2#sudo mig-k8s }" >>"$0.calls"
cat >"$0.stdin.$1"
[ ! -f "$0.away.$1" ] || exit 255
[ ! -f "$0.fails.$1" ] || { echo "mig-k8s: $(cat "$0.fails.$1")" >&2; exit 1; }
cat "$0.says" 2>/dev/null
"""


class Ssh:
    """What stands for ssh: each machine answers as the test says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ssh.sh"
        self.path.write_text(SSH)
        self.path.chmod(0o755)
        self.told("says", JOINING.to_json())

    def told(self, what: str, text: str = "") -> None:
        self.path.with_name(f"ssh.sh.{what}").write_text(text)

    def asked(self) -> list[str]:
        path = self.path.with_name("ssh.sh.calls")
        return path.read_text().splitlines() if path.exists() else []

    def got(self, machine: str) -> dict[str, Any]:
        """What it last got on standard input."""
        return dict(json.loads(self.path.with_name(f"ssh.sh.stdin.{machine}").read_text()))

    def machines(self, **roles: str) -> list[Machine]:
        return [Machine(name.replace("_", "-"), role, self.way(name.replace("_", "-"))) for name, role in roles.items()]

    def way(self, name: str) -> tuple[str, ...]:
        return (str(self.path), name)


@pytest.fixture
def ssh(tmp_path: Path) -> Ssh:
    return Ssh(tmp_path)


def restoring(ssh: Ssh, *without: str) -> Restoring:
    roles = {"server": "server", "server_1": "server", "server_2": "server", "gpu": "agent", "gpu_1": "agent"}
    return Restoring("prod", BACKUP, ssh.machines(**roles), without)


def test_every_machine_is_asked_before_anything_is_changed(ssh: Ssh) -> None:
    assert restoring(ssh).check() == JOINING
    assert ssh.asked() == [
        "server: restore --check",
        *(f"{name}: rejoin --check" for name in ("server-1", "server-2", "gpu", "gpu-1")),
    ]
    assert ssh.got("server")["nodes"] == ["server", "server-1", "server-2", "gpu", "gpu-1"]
    assert "the token" not in json.dumps(ssh.got("server-1"))


def test_servers_stop_one_restores_the_others_join_it_then_agents_restart(
    ssh: Ssh, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restoring(ssh).run(JOINING) == 0
    assert ssh.asked() == [
        "server-1: rejoin --stop",
        "server-2: rejoin --stop",
        "server: restore",
        "server-1: rejoin",
        "server-2: rejoin",
        "gpu: rejoin",
        "gpu-1: rejoin",
        "server: restore --end",
    ]
    assert (ssh.got("server-2")["restore"], ssh.got("server-2")["address"]) == ("1f2e", "10.60.0.4")
    said = capsys.readouterr()
    assert said.out.startswith("server-1: RKE2 stops\n")
    assert "The cluster of prod is that of 2026-11-27T19:00:00Z. Next:" in said.out
    assert "the token" not in said.out + said.err


def test_a_machine_that_refuses_ends_it_before_anything_is_changed(ssh: Ssh) -> None:
    ssh.told("fails.gpu", "this machine is another")
    with pytest.raises(StackError, match=r"gpu: `mig-k8s rejoin --check` failed, see above$"):
        restoring(ssh).check()
    assert ssh.asked()[-1] == "gpu: rejoin --check"


def test_a_server_that_does_not_answer_ends_it_and_the_way_out_is_told(ssh: Ssh) -> None:
    ssh.told("away.server-2")
    with pytest.raises(StackError, match=r"server-2 does not let you in, see above.*WITHOUT=server-2"):
        restoring(ssh).check()


def test_an_agent_that_does_not_answer_is_told_and_left(ssh: Ssh, capsys: pytest.CaptureFixture[str]) -> None:
    ssh.told("away.gpu")
    asked = restoring(ssh)
    asked.check()
    assert "gpu: does not answer. When it is back: `sudo systemctl restart rke2-agent`" in asked.words()
    assert asked.run(JOINING) == 1
    assert "gpu: rejoin" not in ssh.asked()
    assert ssh.asked()[-2:] == ["gpu-1: rejoin", "server: restore --end"]
    assert "gpu did not come back: `sudo systemctl restart rke2-agent` there" in capsys.readouterr().err


def test_a_server_that_is_left_out_is_not_asked_and_its_name_is_free_for_another_machine(ssh: Ssh) -> None:
    ssh.told("away.server")
    asked = restoring(ssh, "server")
    assert asked.run(asked.check()) == 0
    assert [each for each in ssh.asked() if each.startswith("server:")] == []
    assert ssh.asked()[0] == "server-1: restore --check"
    assert asked.order.nodes == ("server", "server-1", "server-2", "gpu", "gpu-1")


def test_where_the_snapshot_is_not_restored_nobody_leaves_the_cluster(ssh: Ssh) -> None:
    asked = restoring(ssh)
    ssh.told("fails.server", "RKE2 did not restore the snapshot")
    with pytest.raises(StackError):
        asked.run(JOINING)
    assert [each for each in ssh.asked() if each.endswith("rejoin")] == []


def test_what_it_costs_is_said_of_every_machine(ssh: Ssh) -> None:
    said = restoring(ssh, "server-2").words()
    assert "everything in it that came later is lost" in said
    assert "  server-1: leaves its cluster and joins server\n" in said
    assert "  gpu: RKE2 restarts\n" in said
    assert "  server-2: is left out. It must not start again with its old datastore" in said
    assert "GPUs, their MIG mode and instances are left as they are" in said


def test_a_backup_comes_from_the_first_server_that_lets_one_in(ssh: Ssh) -> None:
    ssh.told("away.server")
    ssh.told("says", BACKUP.to_json())
    assert taken([ssh.way("server"), ssh.way("server-1")]) == BACKUP
    assert ssh.asked() == ["server: backup", "server-1: backup"]


@pytest.mark.parametrize("text", ["", BACKUP.to_json()[:-40], BACKUP.to_json().replace(BACKUP.sha256, "0" * 64)])
def test_a_backup_that_is_not_whole_is_refused(ssh: Ssh, text: str) -> None:
    ssh.told("says", text)
    with pytest.raises(StackError, match="what came is not whole"):
        taken([ssh.way("server")])


def test_no_server_that_lets_one_in_is_told(ssh: Ssh) -> None:
    ssh.told("away.server")
    with pytest.raises(StackError, match="no server lets you in, see above"):
        taken([ssh.way("server")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["restore", "prod", "/nowhere/none"], "restore: /nowhere/none: No such file or directory\n"),
        (["restore", "prod", ""], "restore: what `make backup` wrote is needed: FILE=…\n"),
        (["restore", "", "/nowhere/none"], "restore: the name of a stack is needed: NAME=prod\n"),
        (["backup", ""], "backup: the name of a stack is needed: NAME=prod\n"),
    ],
)
def test_what_is_missing_is_told_without_a_traceback(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script, *arguments = words
    assert {"backup": backup.main, "restore": restore.main}[script](arguments) == 1
    assert capsys.readouterr().err == said
