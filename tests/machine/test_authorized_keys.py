"""Who may log in as a machine's administrator: the stack file's keys come and go, those of others stay."""

import json
import os
from pathlib import Path

import pytest
from a_machine import DESIRED
from calls import Called, call
from staged import StagedMachine

from machine.documents.configuration import Administrator, Configuration
from machine.documents.desired_state import DesiredState

FIRST, SECOND, THIRD = (f"ssh-ed25519 AAAA{letter * 64} {letter}@home" for letter in "abc")
FILE = "home/azureuser/.ssh/authorized_keys"


@pytest.fixture
def machine(tmp_path: Path) -> StagedMachine:
    """A machine as Azure made it: with the first key."""
    made = StagedMachine.below(tmp_path)
    made.write(FILE, f"{FIRST}\n", 0o600)
    return made


def update(machine: StagedMachine, *keys: str, user: str = "azureuser", rke2_config: str = "cni: calico\n") -> Called:
    desired = DesiredState.from_json(json.dumps(DESIRED))
    text = Configuration(desired, rke2_config, administrator=Administrator(user, keys)).to_json()
    return call(machine, "update", stdin=text)


def lines(machine: StagedMachine) -> list[str]:
    return machine.read(FILE).splitlines()


def test_a_key_that_azure_wrote_becomes_the_stack_files_and_goes_with_it(machine: StagedMachine) -> None:
    update(machine, FIRST, SECOND)
    assert lines(machine) == [f"{FIRST} mig-k8s:ssh", f"{SECOND} mig-k8s:ssh"]
    update(machine, SECOND, FIRST)
    assert lines(machine) == [f"{SECOND} mig-k8s:ssh", f"{FIRST} mig-k8s:ssh"]
    update(machine, SECOND)
    assert lines(machine) == [f"{SECOND} mig-k8s:ssh"]
    assert machine.mode_of(FILE) == "0o600"


def test_what_people_wrote_themselves_stays_as_it_is(machine: StagedMachine) -> None:
    own = [f'from="10.0.0.0/8" {THIRD}', "# a note", ""]
    machine.write(FILE, "\n".join([own[0], FIRST, *own[1:], ""]), 0o600)
    update(machine, FIRST, SECOND)
    update(machine, SECOND)
    assert lines(machine) == [*own, f"{SECOND} mig-k8s:ssh"]


def test_a_key_with_another_comment_or_with_options_is_the_same_key(machine: StagedMachine) -> None:
    kind, body, _ = FIRST.split()
    machine.write(FILE, f'restrict,command="true" {kind} {body} someone\n', 0o600)
    update(machine, FIRST)
    assert lines(machine) == [f"{FIRST} mig-k8s:ssh"]


def test_keys_that_are_there_are_not_written_again(machine: StagedMachine) -> None:
    assert update(machine, FIRST).stdout.startswith("files          2 written\n")
    inode = machine.path(f"/{FILE}").stat().st_ino
    assert update(machine, FIRST).stdout.startswith("files          0 written\n")
    assert machine.path(f"/{FILE}").stat().st_ino == inode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_belongs_to_its_user_or_sshd_could_not_read_it(machine: StagedMachine) -> None:
    os.chown(machine.path("/home/azureuser"), 1234, 2345)
    update(machine, FIRST, SECOND)
    status = machine.path(f"/{FILE}").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_a_machine_whose_cluster_refuses_the_change_lets_the_new_key_in_all_the_same(machine: StagedMachine) -> None:
    machine.write("var/lib/rancher/rke2/server/token", "K10aa::server:t\n", 0o600)
    machine.write("etc/rancher/rke2/config.yaml", "cni: cilium\n", 0o600)
    done = update(machine, FIRST, SECOND)
    assert (done.status, "cni is cilium, not calico" in done.stderr) == (1, True)
    assert f"{SECOND} mig-k8s:ssh" in lines(machine)


def test_a_user_that_the_machine_does_not_have_is_said_and_nothing_is_made(machine: StagedMachine) -> None:
    done = update(machine, FIRST, user="ops")
    assert done.status == 1
    assert "home/ops is not there: is ops (vm.adminUsername) still this machine's administrator?" in done.stderr
    assert not machine.path("/home/ops").exists()


def test_an_older_program_that_sends_no_keys_changes_none(machine: StagedMachine) -> None:
    desired = DesiredState.from_json(json.dumps(DESIRED))
    call(machine, "update", stdin=Configuration(desired, "cni: calico\n").to_json())
    assert lines(machine) == [FIRST]
